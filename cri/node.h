// SPDX-License-Identifier: Apache-2.0
// The parts that the calls work with. main and the tests make one; everything in it is borrowed and
// outlives every call.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/log.h"
#include "core/image/content/content.h"
#include "core/image/pull/puller.h"
#include "core/image/store/image_store.h"
#include "core/linux/overlay_mount.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "core/store/state.h"
#include "core/task/scope.h"
#include "cri/handlers.h"
#include "cri/pods.h"
#include "cri/quiet.h"
#include "cri/state/seccomp_table.h"
#include "plugins/api/resources.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

class SandboxFiles;  // cri/sandbox/files.h
class Sources;       // cri/container/sources.h

// Limits of single operations in milliseconds, the same for every runtime handler.
struct PodOptions {
  std::int64_t launch_ms_max = 30'000;  // clone to exec, volumes of a slow filesystem included
  std::int64_t kill_ms_max = 10'000;    // from SIGKILL to the end
  std::int64_t network_ms_max = 60'000;
};

// Disk usage of committed snapshots by name (cri/image/usage.h).
using LayerUsages = std::map<std::string, plugins::SnapshotUsage, std::less<>>;

struct Node {
  Ring& ring;
  Log& log;
  const store::Layout& layout;
  store::State& state;
  plugins::Snapshotter& snapshotter;
  plugins::ResourcesPlugin& resources;
  const Handlers& handlers;
  const Networks& networks;
  SandboxFiles& sandbox_files;
  Sources& sources;
  const sys::MountFeatures& mount_features;
  image::ContentStore& content;
  image::ImageStore& images;
  image::Puller& puller;
  Scope& attempts;  // work that goes on without the client that began it
  Pods& pods;
  Quiet& quiet;
  PodOptions options{};
  LayerUsages layer_usages{};
  records::SeccompTable seccomp_table{};
};

}  // namespace berth::cri
