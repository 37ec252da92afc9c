// SPDX-License-Identifier: Apache-2.0
#include "core/linux/cgroup_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <map>

#include "core/linux/openat2.h"
#include "core/linux/pidfd.h"

namespace berth::sys {
namespace {

// Control files are short; a list of pids is the longest.
constexpr std::size_t kControlSizeMax = 8 << 20;

}  // namespace

Result<Cgroup> Cgroup::open(int dirfd, const std::string& path) {
  TRY(UniqueFd fd, openat(dirfd, path, O_RDONLY | O_DIRECTORY));
  return Cgroup(std::move(fd), path);
}

Result<Cgroup> Cgroup::open_if_exists(int dirfd, const std::string& path) {
  TRY(UniqueFd fd, openat_if_exists(dirfd, path, O_RDONLY | O_DIRECTORY));
  return Cgroup(std::move(fd), path);
}

Result<Cgroup> Cgroup::open_child(const std::string& child_name) const {
  const int fd = ::openat(fd_.get(), child_name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::string full_name = name_ + "/" + child_name;
  if (fd < 0) return sys_error(errno, "open", full_name);
  return Cgroup(UniqueFd(fd), full_name);
}

Result<std::vector<std::string>> Cgroup::children() const {
  // Opens a new file description: duplicated descriptors share the read position of a directory.
  const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return sys_error(errno, "open", name_);
  DIR* const directory = ::fdopendir(fd);
  if (directory == nullptr) {
    ::close(fd);
    return sys_error(errno, "fdopendir", name_);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    names.emplace_back(entry->d_name);
  }
  ::closedir(directory);
  return names;
}

Status Cgroup::remove_child(const std::string& child_name) const {
  if (::unlinkat(fd_.get(), child_name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return sys_error(errno, "rmdir", name_ + "/" + child_name);
}

Status Cgroup::remove_tree(const std::string& child_name) const {
  Status removed = remove_child(child_name);
  if (removed.ok() || removed.error().sys_errno != EBUSY) return removed;
  TRY(const Cgroup child, open_if_exists(fd_.get(), child_name));
  if (!child.valid()) return {};
  TRY(const std::vector<std::string> names, child.children());
  for (const std::string& name : names) TRY_(child.remove_tree(name));
  return remove_child(child_name);
}

Error Cgroup::control_error(int sys_errno, const char* verb, const std::string& file) const {
  Error error = sys_error(sys_errno, verb, name_).with(file);
  if (sys_errno != ENOENT) return error;
  const std::string controller = file.substr(0, file.find('.'));
  return std::move(error).with("controller " + controller + " is not available in this cgroup");
}

Result<UniqueFd> Cgroup::open_control(const std::string& file, int flags) const {
  const int fd = ::openat(fd_.get(), file.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return control_error(errno, "open", file);
  return UniqueFd(fd);
}

Status Cgroup::write(const std::string& file, std::string_view value) const {
  TRY(const UniqueFd fd, open_control(file, O_WRONLY));
  if (::write(fd.get(), value.data(), value.size()) >= 0) return {};
  return control_error(errno, "write", file);
}

Result<std::string> Cgroup::read(const std::string& file) const {
  TRY(const UniqueFd fd, open_control(file, O_RDONLY));
  return read_all(fd.get(), kControlSizeMax, name_ + "/" + file);
}

bool Cgroup::has(const std::string& file) const {
  return ::faccessat(fd_.get(), file.c_str(), F_OK, 0) == 0;
}

Result<std::vector<pid_t>> Cgroup::procs() const {
  TRY(const std::string text, read("cgroup.procs"));
  std::vector<pid_t> pids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc()) break;
    // 0 means a process outside the caller's PID namespace, which has no pid here.
    if (pid > 0) pids.push_back(pid);
    at = next + 1;
  }
  return pids;
}

Status Cgroup::kill(int rounds) const {
  if (has("cgroup.kill")) return write("cgroup.kill", "1");
  for (int round = 0; round < rounds; ++round) {
    TRY(const std::vector<pid_t> listed, procs());
    if (listed.empty()) break;
    // Race: 1. a pid is read; 2. its process ends; 3. another process gets the pid; 4. it would be
    // killed. Therefore pidfds are opened first and the list is read again: a pid that is in the
    // list while its pidfd is open belongs to a member.
    std::map<pid_t, UniqueFd> held;
    for (const pid_t pid : listed) {
      Result<UniqueFd> pidfd = pidfd_open(pid);
      if (pidfd.ok()) held.emplace(pid, std::move(pidfd).value());
    }
    TRY(const std::vector<pid_t> members, procs());
    for (const pid_t pid : members) {
      const auto found = held.find(pid);
      if (found != held.end()) TRY_(pidfd_send_signal(found->second.get(), SIGKILL));
    }
  }
  TRY(const std::vector<std::string> names, children());
  for (const std::string& name : names) {
    TRY(const Cgroup child, open_child(name));
    TRY_(child.kill(rounds));
  }
  return {};
}

}  // namespace berth::sys
