// SPDX-License-Identifier: Apache-2.0
// The host paths of a container's volumes. A kubelet mounts them, and behind each may be a server
// that does not answer any more: looking at such a path takes for ever. So that is done on threads
// that nobody waits for beyond a deadline, and a path that keeps one of them is refused until it
// has come back: a container that is tried again and again holds one thread, not one for each try.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/mount.h"
#include "core/ring/may_hang.h"
#include "core/task/task.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

struct HostTree {
  sys::UniqueMount tree;  // detached
  bool is_directory = false;
};
// By the index of their mount in config.mounts.
using HostTrees = std::map<int, HostTree>;

// Owned by main, used on the loop.
class Volumes {
 public:
  explicit Volumes(Ring& ring);

  // A clone of the tree at every host_path. A missing one becomes a directory, as the kubelet's
  // other runtimes do it. Errors name config.mounts[i].host_path and the path, also cancelled,
  // which comes at once; unavailable: an earlier look at that path still hangs.
  Task<HostTrees> open(const runtime::v1::ContainerConfig& config);

 private:
  struct Look;
  struct Hanging {
    std::string path;
    std::weak_ptr<Look> look;  // its thread has it
  };

  static Result<HostTrees> open_all(Look& look);
  Status check_known(const Look& look);
  Error given_up(const std::shared_ptr<Look>& look, Error error);

  HangingThreads threads_;
  std::vector<Hanging> hanging_;
};

}  // namespace berth::cri
