// SPDX-License-Identifier: Apache-2.0
// The node's one directory that containers of a hybrid or v1 machine see as /sys/fs/cgroup: a name
// for each hierarchy, and links for the names of its controllers. The hierarchies themselves are
// mounted below it in each container (cri/container/mounts.h).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/resources.h"

namespace berth::cri {

// On the loop. The directory is on the state tmpfs and belongs to the agent alone, so what was made
// once is there.
class CgroupViewDirectory {
 public:
  explicit CgroupViewDirectory(std::string path) : path_(std::move(path)) {}

  // The path, with a name for each of `views` in it.
  Result<std::string> with(const std::vector<plugins::CgroupView>& views);

 private:
  Status add(const plugins::CgroupView& view);

  std::string path_;
  std::set<std::string> names_;  // of hierarchies that are there
};

}  // namespace berth::cri
