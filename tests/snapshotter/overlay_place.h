// SPDX-License-Identifier: Apache-2.0
// An overlay snapshotter in a temporary directory.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "snapshotter/overlay.h"
#include "tests/conformance/snapshotter_factory.h"
#include "tests/support/temporary_dir.h"

namespace berth::snapshotter {

class OverlayPlace final : public plugins::SnapshotterFactory {
 public:
  OverlayPlace() : ring_(MUST(Ring::create())) { start(); }
  ~OverlayPlace() override { stop(); }

  Ring& ring() override { return *ring_; }
  Overlay& snapshotter() override { return *overlay_; }
  void restart() override {
    stop();
    start();
  }
  // As after a reboot: tmpfs is empty, the disk is not.
  void reboot() {
    stop();
    std::filesystem::remove_all(state_dir());
    start();
  }
  void stop() {
    if (overlay_ != nullptr) static_cast<void>(ring_->run_until(overlay_->close()));
    overlay_.reset();
  }
  void start() {
    overlay_ = MUST(Overlay::create(
        *ring_, log_, {.dir = path(), .state_dir = state_dir(), .ready_trees = ready_trees}));
    MUST(ring_->run_until(overlay_->recover()));
  }

  // Changes records as a crash would leave them, then starts the snapshotter again.
  template <typename Edit>
  void restart_with(Edit edit) {
    stop();
    {
      store::State state = MUST(store::State::open(state_dir(), {}));
      edit(state);
    }
    start();
  }
  // 0, so that counts of directories are exact; tests of the pool set it.
  std::size_t ready_trees = 0;

  std::string state_dir() const { return dir_ + "/run/snapshots"; }
  std::string path() const { return dir_ + "/root/snapshots/overlay"; }
  // Snapshot directories on disk, without meta and trash.
  std::size_t directories() const { return entries(path()) - 2; }
  std::size_t in_trash() const { return entries(path() + "/trash"); }

 private:
  static std::size_t entries(const std::string& dir) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(dir), {}));
  }

  Log log_{LogLevel::error};
  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Overlay> overlay_;
};

}  // namespace berth::snapshotter
