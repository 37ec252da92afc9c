// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/unique_fd.h"
#include "cri/cli/doctor/check.h"

namespace berth::cli {

namespace {

// KERNEL 6.7: IORING_OP_WAITID. Debian 12's header ends before it.
// Proof: tests/core/ring/waitid_test.cc.
constexpr unsigned kOpWaitid = 50;
constexpr unsigned kOpsMax = 256;

std::string fix_of_ring(int error, const std::string& disabled) {
  if (disabled == "1" || disabled == "2") return "sysctl kernel.io_uring_disabled=0";
  if (error == ENOSYS) return "a kernel with CONFIG_IO_URING";
  if (error == EPERM) return "allow io_uring_setup in the seccomp filter this runs under";
  if (error == ENOMEM) return "raise the locked-memory limit (LimitMEMLOCK=infinity)";
  return "see io_uring_setup(2)";
}

bool has_opcode(int ring_fd, unsigned opcode) {
  std::vector<std::byte> memory(sizeof(io_uring_probe) + kOpsMax * sizeof(io_uring_probe_op));
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (::syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, probe, kOpsMax) != 0) {
    return false;
  }
  return opcode <= probe->last_op && (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED) != 0;
}

}  // namespace

void check_ring(HostChecks* checks) {
  // 0: all processes may use io_uring; 1: privileged ones and one group; 2: none. Does not exist
  // before 6.6, where all may.
  const std::string disabled = read_small_file("/proc/sys/kernel/io_uring_disabled");
  io_uring_params params{};
  UniqueFd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 8, &params)));
  if (!ring.valid()) {
    const int error = errno;
    std::string what = "io_uring_setup: " + errno_name(error);
    if (!disabled.empty()) what += ", kernel.io_uring_disabled=" + disabled;
    checks->push_back({Health::fail, what, fix_of_ring(error, disabled)});
    return;
  }
  checks->push_back({Health::ok, "io_uring", ""});
  if (has_opcode(ring.get(), kOpWaitid)) {
    checks->push_back({Health::ok, "io_uring WAITID: exits arrive by the ring", ""});
  } else {
    checks->push_back({Health::warn, "no io_uring WAITID: exits are waited for by polling pidfds",
                       "Linux 6.7 or newer (optional)"});
  }
}

}  // namespace berth::cli
