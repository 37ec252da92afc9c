// SPDX-License-Identifier: Apache-2.0
// The host paths of a container's volumes. A kubelet mounts them, and a server that does not answer
// may be behind each: a look at such a path never ends. So it is done on a thread, the caller waits
// until its deadline, and a path that keeps a thread is refused until the look has ended: a
// container that is tried again and again holds one thread, not one for each try.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/mount.h"
#include "core/ring/may_hang.h"
#include "core/task/task.h"

namespace berth::cri {

struct HostPath {
  std::size_t mount = 0;  // index in the mounts of the specification
  std::string path{};
  std::string field{};     // for errors
  bool recursive = false;  // with the mounts below it
};

struct HostTree {
  sys::UniqueMount tree;  // detached
  bool is_directory = false;
};
// By the index of their mount.
using HostTrees = std::map<std::size_t, HostTree>;

// Owned by main, used on the loop.
class Volumes {
 public:
  explicit Volumes(Ring& ring);

  // A clone of the tree at every path. A missing path becomes a directory, as other CRI runtimes do
  // it. Errors name the field and the path, also cancelled, which comes at once; unavailable: an
  // earlier look at that path has not ended.
  Task<HostTrees> open(std::vector<HostPath> wanted);

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
