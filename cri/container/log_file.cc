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

// A pod that may write to the log directory may have put a pipe or a device there: opening alone
// may act, and writing hang.
Status refuse_odd_file(const UniqueFd& directory, const std::string& log_directory,
                       const std::string& log_path) {
  const UniqueFd there(sys::openat2(directory.get(), log_path.c_str(), O_PATH | O_NOFOLLOW, 0,
                                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  struct stat status {};
  // What cannot be looked at is opened below, and the error is told then. So is a link.
  if (!there.valid() || ::fstat(there.get(), &status) != 0) return {};
  if (S_ISREG(status.st_mode) || S_ISLNK(status.st_mode)) return {};
  return make_error(Errc::invalid_argument,
                    "`" + log_directory + "/" + log_path + "` is not a regular file")
      .with("config.log_path");
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
  TRY_(refuse_odd_file(directory, log_directory, log_path));
  UniqueFd file(sys::openat2(directory.get(), log_path.c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
                             0640, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  if (!file.valid()) {
    const int failed_errno = errno;
    Error error = sys_error(failed_errno, "open", log_directory + "/" + log_path);
    if (failed_errno == ELOOP || failed_errno == EXDEV) error.code = Errc::invalid_argument;
    return std::move(error).with("config.log_path");
  }
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
