// SPDX-License-Identifier: Apache-2.0
// The directories of pods and containers in every hierarchy. Stateless: the directories are the
// state. Every function makes system calls on the calling thread; several threads may call at once.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"
#include "plugins/api/resources.h"
#include "plugins/cgroup1/hierarchies.h"

namespace berth::plugins {

// Which container of which pod, below which parent (relative, checked).
struct GroupKey {
  std::string parent;
  std::string pod_id;
  std::string container_id;
};

class Groups {
 public:
  Groups(Hierarchies hierarchies, std::string own_parent)
      : all_(std::move(hierarchies)), own_parent_(std::move(own_parent)) {}

  // Only where the pod itself is limited.
  Status make_pod(const GroupKey& key, const Resources& resources) const;
  Status make_container(const GroupKey& key, const ContainerCgroup& container) const;
  // A leaf without limits of its own (the pod's init).
  Status make_leaf(const GroupKey& key) const;
  // not_found when the container has no group.
  Result<Placement> place(const GroupKey& key) const;
  // Of the hierarchies with limits in which the container has a group.
  Result<std::vector<CgroupView>> views(const GroupKey& key) const;
  Status update(const GroupKey& key, const Resources& resources) const;
  Result<CgroupUsage> usage(const GroupKey& key) const;
  Status kill(const GroupKey& key) const;
  // Everywhere; absent is fine; failed_precondition while a process is there.
  Status remove_container(const GroupKey& key) const;
  Status remove_pod(const GroupKey& key) const;
  // The device groups that containers share, with their rules.
  Status make_shared_devices() const;
  // The shared groups; failed_precondition while a process is in one.
  Status remove_shared() const;
  // See NamespaceRoots::make_shared.
  std::vector<std::string> make_shared_rest() { return all_.rest.make_shared(); }

  const Hierarchies& hierarchies() const { return all_; }
  const std::string& own_parent() const { return own_parent_; }

 private:
  // Nested where the pod has a directory, flat otherwise (cgroup_path.h).
  static std::string path_in(const sys::Cgroup& root, const GroupKey& key);
  std::string device_path(const GroupKey& key) const;
  std::string guarded_device_path(const GroupKey& key) const;
  Status make_device_group(const GroupKey& key, const ContainerCgroup& container) const;
  Status require_controllers(const Resources& resources) const;
  Status limit(const Hierarchy& hierarchy, const std::string& path, const Resources& resources,
               bool fresh) const;
  std::vector<ControlWrite> writes_in_unified(const Resources& resources) const;
  Status limit_unified(const std::string& path, const std::vector<ControlWrite>& writes) const;
  Status move_in(const Hierarchy& hierarchy, const std::string& path, const GroupKey& key) const;

  Hierarchies all_;
  std::string own_parent_;
};

}  // namespace berth::plugins
