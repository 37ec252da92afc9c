// SPDX-License-Identifier: Apache-2.0
#include "core/linux/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace berth::sys {

Result<UniqueFd> memfd_create(const std::string& name, unsigned extra_flags) {
  const int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC | extra_flags);
  if (fd < 0) return sys_error(errno, "memfd_create", name);
  return UniqueFd(fd);
}

Result<UniqueFd> sealed_memfd(const std::string& name, std::span<const std::byte> bytes) {
  // KERNEL 6.3: MFD_NOEXEC_SEAL. Older kernels return EINVAL, and the flag is left out.
  // Proof: tests/kernel/memfd_noexec_seal_test.cc.
  int raw = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (raw < 0 && errno == EINVAL) {
    raw = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  if (raw < 0) return sys_error(errno, "memfd_create", name);
  UniqueFd fd(raw);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write", name);
    done += static_cast<std::size_t>(wrote);
  }
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return sys_error(errno, "seal", name);
  return fd;
}

}  // namespace berth::sys
