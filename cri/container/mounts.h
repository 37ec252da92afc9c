// SPDX-License-Identifier: Apache-2.0
// What a container sees in its file tree besides its image: the kernel's file systems, the pod's
// files, the request's volumes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/linux/mount.h"
#include "core/oci/spec.h"
#include "cri/container/volumes.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/sandbox/files.h"
#include "plugins/api/resources.h"

namespace berth::cri {

// Detached trees by the index of their mount in config.mounts.
using ImageTrees = std::map<int, sys::UniqueMount>;

struct MountPlan {
  std::vector<oci::Mount> mounts;   // parents before children
  std::vector<UniqueFd> owned_fds;  // the trees that mounts[].source_fd borrow
};

struct MountWish {
  const runtime::v1::ContainerConfig& config;
  bool privileged = false;
  bool cgroup_v2 = false;                           // the unified hierarchy is the node's only one
  std::vector<plugins::CgroupView> cgroup_views{};  // else: what stands for it
  sys::UniqueMount cgroup_view_root{};              // CgroupViewTree, with them; the plan takes it
  bool host_shm = false;                            // the node's /dev/shm, not the pod's
  ImageTrees* images = nullptr;                     // of mounts with an image; the plan takes them
  HostTrees* hosts = nullptr;                       // of mounts with a host_path; the same
  PodFiles pod{};                                   // a volume at the same place wins
};

// Not for mounts of this container; asked before anything is opened.
Status check_propagation(const runtime::v1::ContainerConfig& config, bool privileged);

// Gives the list in the order of depth. Blocks for nothing that a stranger serves: the volumes have
// been opened. Errors name config.mounts[i].
Result<MountPlan> plan_mounts(MountWish wish);

// The kernel's file systems alone. Pure.
std::vector<oci::Mount> kernel_mounts(const MountWish& wish);

}  // namespace berth::cri
