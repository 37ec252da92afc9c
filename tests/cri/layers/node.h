// SPDX-License-Identifier: Apache-2.0
// The image parts of an agent as main builds them (stores, overlay snapshotter, Puller), and
// Debian's docker-registry on loopback, in a network namespace of the test. Needs root.
#pragma once

#ifndef BERTH_SOURCE_DIR  // the build says it; the header also compiles alone
#define BERTH_SOURCE_DIR "."
#endif

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>

#include "core/image/pull/puller.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "cri/layers/snapshot_layers.h"
#include "snapshotter/overlay.h"
#include "tests/core/image/http/own_network.h"
#include "tests/core/image/registry/docker_registry.h"
#include "tests/support/temporary_dir.h"

namespace berth::cri {

namespace fs = std::filesystem;

// The parts of the agent, created in main's order and ended in reverse.
class ImageAgent {
 public:
  explicit ImageAgent(const std::string& dir, std::size_t ready_trees = 8)
      : layout_(dir + "/root", dir + "/state") {
    fs::create_directories(layout_.root_dir());
    fs::create_directories(layout_.state_dir());
    ring = Ring::create().value();
    records_.emplace(store::State::open(layout_.images_store(), {.durable = true}).value());
    snapshotter::OverlayOptions options;
    options.dir = layout_.overlay_snapshots();
    options.state_dir = layout_.snapshots_state();
    options.ready_trees = ready_trees;
    overlay = snapshotter::Overlay::create(*ring, log_, options).value();
    ring->run_until(overlay->recover()).value();
    content.emplace(image::ContentStore::open(layout_.content()).value());
    images = image::ImageStore::open(*records_).value();
    layers.emplace(*ring, *overlay, layout_.snapshots());
    image::PullOptions how;
    how.registry.retry_delay_ms = 10;
    puller.emplace(*ring, *content, *images, *layers, log_, how);
    ring->run_until(puller->sweep()).value();
  }
  ~ImageAgent() {
    EXPECT_TRUE(ring->run_until(puller->close()).ok());
    EXPECT_TRUE(ring->run_until(overlay->close()).ok());
  }
  ImageAgent(const ImageAgent&) = delete;
  ImageAgent& operator=(const ImageAgent&) = delete;

  Result<image::PullResult> pull(const std::string& reference) {
    image::PullRequest request;
    request.reference = reference;
    return ring->run_until(puller->pull(std::move(request)));
  }

 private:
  store::Layout layout_;
  Log log_{LogLevel::error};

 public:
  std::unique_ptr<Ring> ring;

 private:
  std::optional<store::State> records_;

 public:
  std::unique_ptr<snapshotter::Overlay> overlay;
  std::optional<image::ContentStore> content;
  std::unique_ptr<image::ImageStore> images;
  std::optional<SnapshotLayers> layers;
  std::optional<image::Puller> puller;
};

class RegistryNode : public testing::Test {
 protected:
  void SetUp() override {
    if (!image::OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    fs::create_directories(dir_ + "/registry");
    registry_.emplace(dir_ + "/registry", "", "", 5000);
  }
  void TearDown() override {
    if (IsSkipped()) return;
    registry_.reset();
  }

  static std::string script(const std::string& name) {
    return std::string(BERTH_SOURCE_DIR) + "/scripts/" + name;
  }
  static int shell(const std::string& command) {
    return std::system((command + " >/dev/null").c_str());
  }
  // Pushes an image of the layer directories `layers` below dir_.
  void push(const std::string& name, const std::vector<std::string>& layers,
            const std::string& options = "") {
    std::string command = script("make-image.sh") + " " + options;
    for (const std::string& layer : layers) command += " --layer " + dir_ + "/" + layer;
    ASSERT_EQ(shell(command + " " + name), 0);
  }
  void write(const std::string& path, const std::string& contents) {
    fs::create_directories(fs::path(dir_ + "/" + path).parent_path());
    std::ofstream(dir_ + "/" + path) << contents;
  }
  // Bytes that do not compress, so that a layer is as big as it looks.
  void write_noise(const std::string& path, std::size_t size, unsigned seed) {
    std::minstd_rand random(seed);
    std::string contents(size, '\0');
    for (char& c : contents) c = static_cast<char>(random() >> 8);
    write(path, contents);
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();

 private:
  std::optional<image::DockerRegistry> registry_;
};

}  // namespace berth::cri
