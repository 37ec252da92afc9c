// SPDX-License-Identifier: Apache-2.0
#include "cri/container/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/linux/openat2.h"
#include "cri/container/host_path.h"

namespace berth::cri {

namespace {

constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
// KERNEL: io_uring ends a write with EAGAIN where the file is O_NONBLOCK and its filesystem cannot
// write without waiting (NFS, FUSE), and leaves it to a worker otherwise. So it is not.
constexpr int kFlags = O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC;

Error open_error(int sys_errno, const std::string& path) {
  Error error = sys_error(sys_errno, "open", path);
  if (sys_errno == ELOOP || sys_errno == EXDEV) error.code = Errc::invalid_argument;
  return error;
}

// A pod that may write to the log directory may have put a pipe or a device there, or put one in
// place of the file at any moment: opening alone may act, and writing hang. So what is looked at is
// what is opened.
Result<UniqueFd> open_there(const UniqueFd& there, const std::string& path) {
  struct stat status {};
  if (::fstat(there.get(), &status) != 0) return open_error(errno, path);
  if (S_ISLNK(status.st_mode)) return open_error(ELOOP, path);
  if (!S_ISREG(status.st_mode)) {
    return make_error(Errc::invalid_argument, "`" + path + "` is not a regular file");
  }
  const std::string link = "/proc/self/fd/" + std::to_string(there.get());
  UniqueFd file(::open(link.c_str(), kFlags));
  if (!file.valid()) return open_error(errno, path);
  return file;
}

Result<UniqueFd> open_or_make(const UniqueFd& directory, const std::string& name,
                              const std::string& path) {
  constexpr int kTries = 8;  // it may come and go meanwhile
  for (int i = 0; i < kTries; ++i) {
    const UniqueFd there(
        sys::openat2(directory.get(), name.c_str(), O_PATH | O_NOFOLLOW, 0, kResolve));
    if (there.valid()) return open_there(there, path);
    if (errno != ENOENT) return open_error(errno, path);
    UniqueFd made(
        sys::openat2(directory.get(), name.c_str(), kFlags | O_CREAT | O_EXCL, 0640, kResolve));
    if (made.valid()) return made;
    if (errno != EEXIST) return open_error(errno, path);
  }
  return open_error(EEXIST, path);
}

Result<UniqueFd> open_now(const std::string& log_directory, const std::string& log_path) {
  std::error_code failed;
  std::filesystem::create_directories(log_directory, failed);
  if (failed) return sys_error(failed.value(), "mkdir", log_directory).with("config.log_directory");
  TRY(const UniqueFd directory, sys::openat(AT_FDCWD, log_directory, O_PATH | O_DIRECTORY));
  const std::string parent = std::filesystem::path(log_path).parent_path().string();
  if (!parent.empty()) {
    TRY([[maybe_unused]] const UniqueFd made, sys::mkdirs_in_root(directory.get(), parent));
  }
  Result<UniqueFd> file = open_or_make(directory, log_path, log_directory + "/" + log_path);
  if (!file.ok()) return std::move(file).error().with("config.log_path");
  return file;
}

}  // namespace

std::string log_path_of(const std::string& log_directory, const std::string& log_path) {
  if (log_directory.empty() || log_path.empty()) return "";
  return (std::filesystem::path(log_directory) / log_path).lexically_normal().string();
}

Task<UniqueFd> open_log(HangingThreads& threads, std::string log_directory, std::string log_path) {
  std::string path = log_path_of(log_directory, log_path);
  auto look = [log_directory, log_path]() { return open_now(log_directory, log_path); };
  UniqueFd file =
      co_await look_at_host<UniqueFd>(threads, "config.log_path", std::move(path), std::move(look));
  co_return file;
}

}  // namespace berth::cri
