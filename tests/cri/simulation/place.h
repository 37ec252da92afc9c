// SPDX-License-Identifier: Apache-2.0
// What all schedules of the program share: the loop in virtual time, and the stores with one image.
#pragma once

#include <memory>

#include "core/base/log.h"
#include "core/image/content/content.h"
#include "core/image/pull/puller.h"
#include "core/image/store/image_store.h"
#include "core/linux/overlay_mount.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "core/store/state.h"
#include "cri/layers/snapshot_layers.h"
#include "cri/quiet.h"
#include "tests/cri/simulation/virtual_backend.h"
#include "tests/support/fakes/snapshotter.h"
#include "tests/support/temporary_dir.h"

namespace berth::simulation {

// The name of the image, and the snapshot of its only layer.
constexpr const char* kImage = "docker.io/library/busybox:latest";

class Place {
 public:
  // `is_told`: the agents' log goes to stderr.
  explicit Place(bool is_told);
  Place(const Place&) = delete;
  ~Place();

  // Takes every record away.
  void clear_records();
  const std::string& layer() const { return layer_; }

 private:
  TemporaryDir dir_;
  fakes::NoFaults no_faults_;
  fakes::Snapshots no_snapshots_;
  std::string layer_;
  UniqueFd log_file_;

 public:
  Log log;
  store::Layout layout;
  VirtualBackend* backend = nullptr;  // the ring's
  std::unique_ptr<Ring> ring;
  std::unique_ptr<store::State> state;
  std::unique_ptr<store::State> image_state;
  std::unique_ptr<image::ImageStore> images;
  std::unique_ptr<image::ContentStore> content;
  fakes::FakeSnapshotter unused_snapshotter{no_snapshots_, no_faults_};
  std::unique_ptr<cri::SnapshotLayers> layers;
  std::unique_ptr<image::Puller> puller;
  sys::MountFeatures mount_features;
  std::unique_ptr<cri::Quiet> quiet;
};

}  // namespace berth::simulation
