// SPDX-License-Identifier: Apache-2.0
#include "core/linux/openat2.h"

#include <sys/stat.h>

#include <utility>

namespace berth::sys {
namespace {

Error open_error(int sys_errno, std::string_view op, const std::string& path) {
  return sys_error(sys_errno, op, path);
}

bool is_absent(int sys_errno) {
  return sys_errno == ENOENT || sys_errno == ENOTDIR;
}

}  // namespace

Result<UniqueFd> openat(int dirfd, const std::string& path, int flags, mode_t mode) {
  const int fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return open_error(errno, "open", path);
  return UniqueFd(fd);
}

Result<UniqueFd> openat_if_exists(int dirfd, const std::string& path, int flags, mode_t mode) {
  const int fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0 && !is_absent(errno)) return open_error(errno, "open", path);
  return UniqueFd(fd);
}

Result<UniqueFd> open_in_root(int dirfd, const std::string& path, std::uint64_t flags,
                              mode_t mode) {
  const int fd = openat2(dirfd, path.c_str(), flags, mode, kResolveInRoot);
  if (fd < 0) return open_error(errno, "openat2", path);
  return UniqueFd(fd);
}

Result<UniqueFd> open_in_root_if_exists(int dirfd, const std::string& path, std::uint64_t flags,
                                        mode_t mode) {
  const int fd = openat2(dirfd, path.c_str(), flags, mode, kResolveInRoot);
  if (fd < 0 && !is_absent(errno)) return open_error(errno, "openat2", path);
  return UniqueFd(fd);
}

Result<UniqueFd> open_regular(const UniqueFd& path_fd, const std::string& name) {
  struct stat info {};
  if (::fstat(path_fd.get(), &info) != 0) return sys_error(errno, "stat", name);
  if (!S_ISREG(info.st_mode)) {
    return make_error(Errc::failed_precondition, "`" + name + "` is not a regular file");
  }
  const std::string self = "/proc/self/fd/" + std::to_string(path_fd.get());
  const int fd = ::open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return open_error(errno, "open", name);
  return UniqueFd(fd);
}

Result<UniqueFd> open_regular_in_root_if_exists(int dirfd, const std::string& path) {
  TRY(const UniqueFd found, open_in_root_if_exists(dirfd, path, O_PATH));
  if (!found.valid()) return UniqueFd();
  return open_regular(found, path);
}

Result<UniqueFd> mkdirs_in_root(int dirfd, const std::string& path, const MkdirOptions& options) {
  const int fd = mkdirs_in_root_raw(dirfd, path.c_str(), options);
  if (fd < 0) return open_error(errno, "mkdir", path);
  return UniqueFd(fd);
}

Status mkdir_if_missing(int dirfd, const std::string& path, mode_t mode) {
  if (::mkdirat(dirfd, path.c_str(), mode) == 0) return {};
  if (errno != EEXIST) return sys_error(errno, "mkdir", path);
  struct stat info {};
  if (::fstatat(dirfd, path.c_str(), &info, 0) != 0) return sys_error(errno, "stat", path);
  if (!S_ISDIR(info.st_mode)) return sys_error(ENOTDIR, "mkdir", path);
  return {};
}

Result<std::string> read_all(int fd, std::size_t size_max, std::string_view name) {
  std::string text;
  // The size is not used, because files of procfs and cgroupfs report size 0.
  constexpr std::size_t kChunk = 4096;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(had + kChunk);
    const ssize_t got = ::read(fd, text.data() + had, kChunk);
    if (got < 0 && errno == EINTR) {
      text.resize(had);
      continue;
    }
    if (got < 0) return sys_error(errno, "read", std::string(name));
    text.resize(had + static_cast<std::size_t>(got));
    if (got == 0) return text;
    if (text.size() > size_max) {
      return make_error(
          Errc::resource_exhausted,
          "file `" + std::string(name) + "` is longer than " + std::to_string(size_max) + " bytes");
    }
  }
}

Result<std::string> read_small_file(int dirfd, const std::string& path, std::size_t size_max) {
  TRY(const UniqueFd fd, openat(dirfd, path, O_RDONLY));
  return read_all(fd.get(), size_max, path);
}

}  // namespace berth::sys
