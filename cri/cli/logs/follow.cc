// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/logs/follow.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/base/units.h"

namespace berth::cli {

Result<LogFollow> LogFollow::open(std::string path, LogSink& sink, bool timestamps) {
  LogFollow follow(std::move(path), sink, timestamps);
  const std::string& name = follow.path_;
  follow.notify_ = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!follow.notify_.valid()) return sys_error(errno, "inotify_init1", name);
  const std::string directory = name.substr(0, name.rfind('/'));
  // The watch is added before the file is opened, so that no change is missed.
  if (::inotify_add_watch(follow.notify_.get(), directory.c_str(),
                          IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
    return sys_error(errno, "watch", directory);
  }
  follow.file_ = UniqueFd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!follow.file_.valid()) return sys_error(errno, "open", name);
  return follow;
}

Status LogFollow::skip_to_tail(std::size_t lines) {
  TRY(const off_t start, tail_offset(file_.get(), lines));
  if (::lseek(file_.get(), start, SEEK_SET) < 0) return sys_error(errno, "lseek", path_);
  return {};
}

Result<bool> LogFollow::drain() {
  std::array<char, 4096> events;
  while (::read(notify_.get(), events.data(), events.size()) > 0) {
  }
  TRY(bool any, drain_file());
  while (was_replaced()) {
    // The writer may have appended to the old file until it opened the new one.
    TRY(const bool late, drain_file());
    any = any || late;
    UniqueFd next(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!next.valid()) break;
    file_ = std::move(next);
    TRY(const bool more, drain_file());
    any = any || more;
  }
  return any;
}

Result<bool> LogFollow::drain_file() {
  std::string block(64_KiB, '\0');
  bool any = false;
  for (;;) {
    const ssize_t got = ::read(file_.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", path_);
    if (got == 0) return any;
    TRY_(decoder_.feed(std::string_view(block.data(), static_cast<std::size_t>(got))));
    any = true;
  }
}

bool LogFollow::was_replaced() const {
  struct stat named {};
  struct stat opened {};
  if (::stat(path_.c_str(), &named) != 0 || ::fstat(file_.get(), &opened) != 0) return false;
  return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev;
}

}  // namespace berth::cli
