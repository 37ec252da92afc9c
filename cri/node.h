// SPDX-License-Identifier: Apache-2.0
// The parts that the calls work with. main builds them and owns them; everything here is borrowed
// and outlives every call. Nobody but main.cc and the tests makes one.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/log.h"
#include "core/container/namespace_pool.h"
#include "core/image/content/content.h"
#include "core/image/pull/puller.h"
#include "core/image/store/image_store.h"
#include "core/keeper/client.h"
#include "core/linux/overlay_mount.h"
#include "core/ring/may_hang.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "core/store/state.h"
#include "core/task/scope.h"
#include "cri/container/cgroup_view.h"
#include "cri/container/seccomp_cache.h"
#include "cri/container/volumes.h"
#include "cri/image/usage.h"
#include "cri/pods.h"
#include "cri/quiet.h"
#include "plugins/api/network.h"
#include "plugins/api/resources.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

// The longest answer of the keeper to a request that waits for nothing else.
constexpr std::int64_t kKeeperMsMax = 10'000;

// Paths that may hang at a time, of logs and of devices each.
constexpr unsigned kHangingMax = 16;

// What an operator may set about pods; limits of single operations in milliseconds.
struct PodOptions {
  std::int64_t pids_limit = 0;          // per container; 0: none
  std::int64_t launch_ms_max = 30'000;  // clone to exec, volumes of a slow filesystem included
  std::int64_t kill_ms_max = 10'000;    // from SIGKILL to the end
  std::int64_t network_ms_max = 60'000;
  std::string seccomp_profile_root = "/var/lib/kubelet/seccomp";
};

struct Node {
  Ring& ring;
  Log& log;
  const store::Layout& layout;
  store::State& state;
  plugins::Snapshotter& snapshotter;
  plugins::Network& pod_network;
  plugins::Network& host_network;
  plugins::ResourcesPlugin& resources;
  plugins::RuntimeHandler& handler;
  keeper::KeeperClient& keeper;
  container::NamespacePool& ipc_uts;
  Volumes& volumes;
  const sys::MountFeatures& mount_features;
  image::ContentStore& content;
  image::ImageStore& images;
  image::Puller& puller;
  Scope& attempts;  // what was begun for a client and goes on without it
  Pods& pods;
  SeccompCache& seccomp;
  Quiet& quiet;
  PodOptions options;
  LayerUsages layer_usages{};
  CgroupViewTree cgroup_view{mount_features.clones_detached};
  // For look_at_host. Apart, so that a device that hangs keeps nobody from a log.
  HangingThreads log_threads{ring, kHangingMax};
  HangingThreads device_threads{ring, kHangingMax};
};

}  // namespace berth::cri
