// SPDX-License-Identifier: Apache-2.0
// Cgroup is one open directory of a cgroup filesystem, v1 or v2; everything is relative to it.
// Knows files, not policy. Control file errors name the file and the cgroup: "write memory.max
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
  // A directory by path below `dirfd`; not made.
  static Result<Cgroup> open(int dirfd, const std::string& path);
  // The same; absence is no error, the result is then not valid().
  static Result<Cgroup> open_if_exists(int dirfd, const std::string& path);

  Cgroup() = default;

  bool valid() const noexcept { return fd_.valid(); }
  int fd() const noexcept { return fd_.get(); }
  // As given to open and extended by create_child: for messages.
  const std::string& name() const noexcept { return name_; }

  // mkdir; an existing one is opened.
  Result<Cgroup> create_child(const std::string& child_name) const;
  Result<Cgroup> open_child(const std::string& child_name) const;
  // Names of the cgroups directly below, in no order.
  Result<std::vector<std::string>> children() const;
  // rmdir; absence is no error. EBUSY (failed_precondition): processes or children are still there.
  Status remove_child(const std::string& child_name) const;
  // The child and everything below it, deepest first. Stops at the first that is busy.
  Status remove_tree(const std::string& child_name) const;

  // not_found on a control file says that its controller is not available in this cgroup.
  Status write(const std::string& file, std::string_view value) const;
  Result<std::string> read(const std::string& file) const;
  bool has(const std::string& file) const;
  // A control file open for writing, to be handed to another process (`tasks`, `cgroup.procs`).
  Result<UniqueFd> open_control(const std::string& file, int flags) const;

  // cgroup.procs, as numbers of the caller's PID namespace. Not those of children.
  Result<std::vector<pid_t>> procs() const;
  // Kills every process here and below: `cgroup.kill` (5.14, v2 only), or SIGKILL to each listed
  // pid, again until the list is empty or `rounds` are over (v1). Does not wait for their end.
  Status kill(int rounds = 8) const;

 private:
  Cgroup(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  Error control_error(int sys_errno, const char* verb, const std::string& file) const;

  UniqueFd fd_;
  std::string name_;
};

}  // namespace berth::sys
