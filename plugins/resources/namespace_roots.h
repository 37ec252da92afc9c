// SPDX-License-Identifier: Apache-2.0
// The v1 hierarchies in which a container has no limits: freezer, blkio, net_cls, name=systemd and
// so on, and cpuset for a container that asks for no CPUs.
//
// A process is in a group of every hierarchy, and the group that it is in when its cgroup namespace
// is made is the root that the namespace shows. A process that may mount the hierarchy in that
// namespace may write to that group's control files and make groups below it. So no namespace is
// made in the root of the machine, whose release_agent runs programs of the host. Whether a
// container shares a group or has one of its own depends on what it could do (CgroupReach) and on
// what the group's files can do:
//
//   <parent>/default                   shared; it has no limit and no process of the host
//   <parent>/berth-<pod>.<container>   of one container
//
// docs/decisions/0015-cgroup-v1-roots.md has the reasons and the costs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/linux/cgroup_fs.h"
#include "plugins/api/resources.h"
#include "plugins/resources/cgroup_mounts.h"

namespace berth::plugins {

constexpr const char* kSharedGroup = "default";

// Removes the groups without a process that containers made below a shared group.
Status sweep_shared_group(const sys::Cgroup& root, const std::string& own_parent);

// Its only state is the list of usable hierarchies. Makes system calls on the calling thread; after
// make_shared several threads may call the other functions at once.
class NamespaceRoots {
 public:
  struct Member {
    std::string pod_id;
    std::string container_id;
  };

  explicit NamespaceRoots(std::string own_parent) : own_parent_(std::move(own_parent)) {}

  // make_shared reports a hierarchy that cannot be opened or written.
  void add(const CgroupMount& mount);

  // Makes the shared groups. One sentence for each hierarchy where there can be none: containers
  // then stay in the keeper's group there, which mostly is the machine's root.
  std::vector<std::string> make_shared();
  // The groups that `reach` calls for, where the container is not in one of `handled` already
  // (names of hierarchies: it has a limit there).
  Status make(const Member& member, CgroupReach reach,
              const std::vector<std::string>& handled) const;
  // Appends the `tasks` file of the container's own group or of the shared one.
  Status place(const Member& member, const std::vector<std::string>& handled,
               std::vector<UniqueFd>& tasks) const;
  // Called after the container's processes were killed, so that frozen ones end too.
  bool has_freezer(const Member& member) const;
  Status thaw(const Member& member) const;
  // Absent is fine; failed_precondition while a process is there.
  Status remove(const Member& member) const;
  // failed_precondition while a process is there.
  Status remove_shared() const;
  // The containers that have groups of their own.
  Result<std::vector<Member>> members() const;
  // Of those that can be used.
  std::vector<const sys::Cgroup*> roots() const;
  Status sweep() const;

 private:
  struct Hierarchy {
    sys::Cgroup root;
    std::string name;
    bool has_cpuset = false;
    bool has_freezer = false;
    bool harmless = false;  // its control files do nothing to the processes in a group
    std::string fault;      // why it cannot be used; empty: it can
  };

  std::string own_path(const Member& member) const;
  std::string shared_path() const { return own_parent_ + "/" + kSharedGroup; }
  Status make_shared_in(const Hierarchy& hierarchy) const;

  std::string own_parent_;
  std::vector<Hierarchy> all_;
};

}  // namespace berth::plugins
