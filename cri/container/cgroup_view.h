// SPDX-License-Identifier: Apache-2.0
// What containers of a hybrid or v1 machine see as /sys/fs/cgroup: a directory for each hierarchy,
// and links for the names of its controllers. The hierarchies themselves are mounted below it in
// each container (cri/container/mounts.h).
//
// It is a small file system of its own, mounted nowhere, with immutable inodes: a container with
// CAP_SYS_ADMIN may mount it read-write again, or read-only, and changes nothing for others.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/mount.h"
#include "plugins/api/resources.h"

namespace berth::cri {

class CgroupViewTree {
 public:
  // `clones_detached`: all containers share one (sys::MountFeatures); otherwise each gets its own.
  explicit CgroupViewTree(bool clones_detached) : clones_detached_(clones_detached) {}

  // A detached mount of it with a name for each of `views`. Not valid: there are none.
  Result<sys::UniqueMount> with(const std::vector<plugins::CgroupView>& views);

 private:
  Result<sys::UniqueMount> build() const;

  const bool clones_detached_;
  std::map<std::string, std::vector<std::string>> names_;  // of hierarchies, with their aliases
  sys::UniqueMount shared_;
};

}  // namespace berth::cri
