// SPDX-License-Identifier: Apache-2.0
// Shared by the cgroup tests: a parent of their own in every hierarchy, which is removed with its
// contents at the end, and a process that can be put into a placement.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "plugins/api/resources.h"
#include "plugins/resources/cgroup_mounts.h"
#include "plugins/resources/cgroup_tree.h"

namespace berth::plugins {

// Root, and at least one hierarchy that may be written.
inline bool cgroups_usable() {
  const auto mounts = read_cgroup_mounts();
  return ::geteuid() == 0 && mounts.ok() && !mounts->empty() &&
         ::access(mounts->front().mount_point.c_str(), W_OK) == 0;
}

class CgroupSandbox {
 public:
  CgroupSandbox() : mounts_(MUST(read_cgroup_mounts())) {
    static int serial = 0;
    if (serial == 0) remove_abandoned();
    parent_ = "berth-test-" + std::to_string(::getpid()) + "-" + std::to_string(++serial);
  }
  CgroupSandbox(const CgroupSandbox&) = delete;
  CgroupSandbox& operator=(const CgroupSandbox&) = delete;
  ~CgroupSandbox() {
    for (const CgroupMount& mount : mounts_) {
      for (const std::string& path : {parent_, parent_ + "-kubelet"}) remove(mount, path);
    }
  }

  const std::string& parent() const { return parent_; }
  std::string kubelet_parent() const { return parent_ + "-kubelet/podX"; }
  const std::vector<CgroupMount>& mounts() const { return mounts_; }

  // Absolute path of `path` where the controller is mounted ("" for v2), or the named hierarchy.
  std::string at(const std::string& controller, const std::string& path) const {
    for (const CgroupMount& mount : mounts_) {
      const bool v2 = mount.version == CgroupVersion::v2;
      const bool is_it =
          controller.empty() ? v2 : mount.has(controller) || mount.label == controller;
      if (is_it) return mount.mount_point + "/" + path;
    }
    return {};
  }
  std::string read(const std::string& controller, const std::string& path) const {
    std::ifstream file(at(controller, path));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  bool exists(const std::string& controller, const std::string& path) const {
    return std::filesystem::exists(at(controller, path));
  }
  // Everything below the test's parent, in all hierarchies, as sorted "mount/path" lines.
  std::vector<std::string> snapshot() const {
    std::vector<std::string> all;
    for (const CgroupMount& mount : mounts_) {
      std::error_code gone;
      const std::string top = mount.mount_point + "/" + parent_;
      for (std::filesystem::recursive_directory_iterator at(top, gone), end; at != end;
           at.increment(gone)) {
        if (at->is_directory()) all.push_back(at->path());
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  // Removes the cgroups of tests that were killed: the process is gone and the cgroup is old. The
  // age protects tests in other PID namespaces, whose pids have no meaning here.
  void remove_abandoned() const {
    constexpr auto kOld = std::chrono::minutes(10);
    const std::string prefix = "berth-test-";
    for (const CgroupMount& mount : mounts_) {
      std::error_code gone;
      std::vector<std::string> names;
      for (const auto& entry : std::filesystem::directory_iterator(mount.mount_point, gone)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with(prefix)) continue;
        const pid_t owner = std::atoi(name.c_str() + prefix.size());
        const auto age =
            std::filesystem::file_time_type::clock::now() - entry.last_write_time(gone);
        if (owner > 0 && ::kill(owner, 0) != 0 && age > kOld) names.push_back(name);
      }
      for (const std::string& name : names) remove(mount, name);
    }
  }

  static void remove(const CgroupMount& mount, const std::string& path) {
    auto root = sys::Cgroup::open(AT_FDCWD, mount.mount_point);
    if (!root.ok()) return;
    static_cast<void>(kill_cgroup(*root, path));
    for (int attempt = 0; attempt < 100 && !remove_cgroup(*root, path).ok(); ++attempt) {
      ::usleep(10'000);
    }
  }

  std::vector<CgroupMount> mounts_;
  std::string parent_;
};

// The group of `pid` in each hierarchy, by controller ("" for v2) or label, as this process sees
// it.
inline std::map<std::string, std::string> groups_of(pid_t pid) {
  std::map<std::string, std::string> groups;
  std::ifstream lines("/proc/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    std::string names = line.substr(first + 1, second - first - 1);
    if (names.starts_with("name=")) names = names.substr(5);
    const std::string path = line.substr(second + 1);
    if (names.empty()) groups[""] = path;
    for (const std::string& name : split_words(names, ',')) groups[name] = path;
  }
  return groups;
}

// A child process that enters the placement, as the launcher's child does, then runs
// `body` (default: sleeps until killed). Killed and reaped at the end.
class PlacedProcess {
 public:
  explicit PlacedProcess(const Placement& placement, std::function<int()> body = {}) {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (placement.cgroup.valid()) enter(placement.cgroup.get());
      for (const UniqueFd& tasks : placement.v1_tasks) {
        if (::write(tasks.get(), "0", 1) != 1) ::_exit(99);
      }
      (void)!::write(ready[1], "r", 1);
      if (body) ::_exit(body());
      while (true) ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    placed_ = ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
  }
  PlacedProcess(const PlacedProcess&) = delete;
  ~PlacedProcess() {
    if (pid_ > 0 && !reaped_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  pid_t pid() const { return pid_; }
  bool placed() const { return placed_; }
  // The wait status, once it has ended.
  int wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    reaped_ = true;
    return status;
  }

 private:
  static void enter(int dirfd) {
    const int procs = ::openat(dirfd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || ::write(procs, "0", 1) != 1) ::_exit(98);
    ::close(procs);
  }

  pid_t pid_ = -1;
  bool placed_ = false;
  bool reaped_ = false;
};

}  // namespace berth::plugins
