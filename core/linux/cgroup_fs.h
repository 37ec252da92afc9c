// SPDX-License-Identifier: Apache-2.0
// Cgroup is one open directory of a cgroup filesystem, v1 or v2. All paths are relative to it. It
// contains no policy. Errors of control files name the file and the cgroup: "write memory.max
// `pod-x`: EBUSY".
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

class Cgroup {
 public:
  // Opens an existing directory by its path relative to `dirfd`.
  static Result<Cgroup> open(int dirfd, const std::string& path);
  // As open, but absence is not an error: the result is then not valid().
  static Result<Cgroup> open_if_exists(int dirfd, const std::string& path);

  Cgroup() = default;

  bool valid() const noexcept { return fd_.valid(); }
  int fd() const noexcept { return fd_.get(); }
  // The path for messages, as given to open() and extended by open_child().
  const std::string& name() const noexcept { return name_; }

  Result<Cgroup> open_child(const std::string& child_name) const;
  // The names of the direct children, in no particular order.
  Result<std::vector<std::string>> children() const;
  // rmdir(2); absence is not an error. EBUSY (failed_precondition): it has processes or children.
  Status remove_child(const std::string& child_name) const;
  // Removes the child and all its descendants, deepest first. Stops at the first that is busy.
  Status remove_tree(const std::string& child_name) const;

  // not_found: the controller of the file is not available in this cgroup.
  Status write(const std::string& file, std::string_view value) const;
  Result<std::string> read(const std::string& file) const;
  bool has(const std::string& file) const;
  // Opens a control file, such as `tasks` or `cgroup.procs`, to pass the descriptor to another
  // process.
  Result<UniqueFd> open_control(const std::string& file, int flags) const;

  // cgroup.procs: pids in the caller's PID namespace, without the processes of child cgroups.
  Result<std::vector<pid_t>> procs() const;
  // Kills every process of this cgroup and its descendants: with `cgroup.kill` (Linux 5.14, v2
  // only), or by SIGKILL to each listed pid, repeated until the list is empty, at most `rounds`
  // times (v1). Does not wait until the processes have ended.
  Status kill(int rounds = 8) const;

 private:
  Cgroup(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  Error control_error(int sys_errno, const char* verb, const std::string& file) const;

  UniqueFd fd_;
  std::string name_;
};

}  // namespace berth::sys
