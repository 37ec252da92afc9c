// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/conf_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/text.h"
#include "core/linux/openat2.h"
#include "networking/cni/chain.h"
#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

constexpr std::size_t kFilesMax = 1024;

bool is_configuration(std::string_view name) {
  return name.ends_with(".conf") || name.ends_with(".json") || name.ends_with(".conflist");
}

Result<std::vector<std::string>> names_in(const std::string& dir) {
  std::vector<std::string> names;
  DIR* const stream = ::opendir(dir.c_str());
  if (stream == nullptr) {
    if (errno == ENOENT) return names;
    return sys_error(errno, "opendir", dir);
  }
  for (const dirent* entry = ::readdir(stream); entry != nullptr; entry = ::readdir(stream)) {
    if (is_configuration(entry->d_name)) names.emplace_back(entry->d_name);
    if (names.size() == kFilesMax) break;
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

// O_NONBLOCK: opening a FIFO must not wait for a writer.
Result<NetworkConf> read_conf(const std::string& path) {
  TRY(const UniqueFd fd, sys::openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK));
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) return sys_error(errno, "fstat", path);
  if (!S_ISREG(found.st_mode)) {
    return make_error(Errc::invalid_argument, "is not a regular file");
  }
  TRY(const std::string text, sys::read_all(fd.get(), kJsonSizeMax, path));
  return parse_conf(path.ends_with(".conflist") ? ConfForm::list : ConfForm::single, text);
}

// Of an absolute path that is not "/".
std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The part of `path` that is one name longer than its ancestor.
std::string child_towards(const std::string& path, const std::string& ancestor) {
  const std::size_t begin = ancestor == "/" ? 1 : ancestor.size() + 1;
  return path.substr(0, path.find('/', begin));
}

}  // namespace

Result<ConfScan> scan_conf_dir(const std::string& dir, const std::vector<std::string>& bin_dirs) {
  ConfScan scan;
  TRY(const std::vector<std::string> names, names_in(dir));
  for (const std::string& name : names) {
    Result<NetworkConf> conf = read_conf(dir + "/" + name);
    if (!conf.ok()) {
      scan.bad.push_back(printable(name) + ": " + conf.error().message());
      continue;
    }
    scan.conf = std::move(*conf);
    scan.file = name;
    break;
  }
  if (!scan.conf.has_value()) return scan;
  for (const PluginConf& plugin : (*scan.conf).plugins) {
    if (find_binary(bin_dirs, plugin.type).empty()) scan.missing.push_back(plugin.type);
  }
  return scan;
}

Result<ConfWatch> watch_conf_dir(const std::string& dir) {
  ConfWatch watch;
  const std::uint32_t events =
      IN_CREATE | IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  std::string watched = dir;
  // A component that is no directory would be tried for ever.
  int tries_left = 4;
  for (;;) {
    // A new instance for each try has no watch of a directory that was tried before.
    watch.events.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch.events.valid()) return sys_error(errno, "inotify_init1", dir);
    watch.is_of_dir = watched == dir;
    const bool added = ::inotify_add_watch(watch.events.get(), watched.c_str(), events) >= 0;
    if (added && watch.is_of_dir) return watch;
    // What was made below an ancestor before its watch began has no event.
    if (added && ::access(child_towards(dir, watched).c_str(), F_OK) != 0) return watch;
    if (added && --tries_left == 0) return watch;
    if (!added && watched == "/") return sys_error(errno, "inotify_add_watch", dir);
    watched = added ? dir : parent_of(watched);
  }
}

bool take_conf_dir_events(const ConfWatch& watch) {
  alignas(inotify_event) char buffer[8192];
  bool remains = watch.is_of_dir;
  for (;;) {
    const ssize_t got = ::read(watch.events.get(), buffer, sizeof buffer);
    if (got <= 0) return remains;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) remains = false;
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

}  // namespace berth::networking::cni
