// SPDX-License-Identifier: Apache-2.0
// Promise: the kernel mounts every description of the snapshotter, with as many layers as overlayfs
// allows. In a mount namespace of the test.
#include <errno.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "core/linux/openat2.h"
#include "core/linux/overlay_mount.h"
#include "tests/snapshotter/overlay_place.h"

namespace berth::snapshotter {
namespace {

using plugins::SnapshotMount;

sys::OverlayLayers layers_of(const SnapshotMount& mount) {
  sys::OverlayLayers layers;
  for (const std::string& option : mount.options) {
    if (option.starts_with("upperdir=")) layers.upperdir = option.substr(9);
    if (option.starts_with("workdir=")) layers.workdir = option.substr(8);
    if (option == "volatile") layers.is_volatile = true;
    if (!option.starts_with("lowerdir=")) continue;
    std::string list = option.substr(9);
    while (!list.empty()) {
      const std::size_t colon = list.find(':');
      layers.lowerdirs.push_back(list.substr(0, colon));
      list = colon == std::string::npos ? "" : list.substr(colon + 1);
    }
  }
  return layers;
}

class OverlayMountTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "unshare: " << ::strerror(errno);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    features_ = sys::MountFeatures::probe();
    place_ = std::make_unique<OverlayPlace>();
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return place_->ring().run_until(std::move(task));
  }
  // Mounts the tree of `key` and reads a file of it.
  std::string read_in(const std::vector<SnapshotMount>& mounts, const std::string& file) {
    auto mounted = sys::mount_overlay(features_, layers_of(mounts.at(0)));
    EXPECT_TRUE(mounted.ok()) << mounted.error().message();
    if (!mounted.ok()) return {};
    auto text = sys::read_small_file(mounted->get(), file);
    return text.ok() ? *text : text.error().message();
  }
  void layer(const std::string& name, const std::string& parent, const std::string& content) {
    auto mounts = MUST(run(place_->snapshotter().prepare("extract", parent)));
    std::ofstream(plugins::writable_dir(mounts) + "/file") << content;
    std::ofstream(plugins::writable_dir(mounts) + "/only-" + name) << name;
    MUST(run(place_->snapshotter().commit(name, "extract")));
  }

  sys::MountFeatures features_;
  std::unique_ptr<OverlayPlace> place_;
};

TEST_F(OverlayMountTest, NearestLayerWinsAndAllAreThere) {
  layer("bottom", "", "old");
  layer("top", "bottom", "new");
  const auto mounts = MUST(run(place_->snapshotter().prepare("ctr", "top")));
  EXPECT_EQ(read_in(mounts, "file"), "new");
  EXPECT_EQ(read_in(MUST(run(place_->snapshotter().mounts("ctr"))), "only-bottom"), "bottom")
      << "the second mount of a volatile overlay needs its mark removed";
  EXPECT_EQ(read_in(MUST(run(place_->snapshotter().view("look", "top"))), "only-top"), "top");
}

TEST_F(OverlayMountTest, FiveHundredLayersMount) {
  if (!features_.overlay_lowerdir_append && !features_.overlay_layers_by_fd) {
    GTEST_SKIP() << "this kernel takes all layers in one page of options";
  }
  std::string parent;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "l" + std::to_string(i);
    layer(name, parent, std::to_string(i));
    parent = name;
  }
  const auto mounts = MUST(run(place_->snapshotter().prepare("ctr", parent)));
  EXPECT_EQ(read_in(mounts, "file"), "499");
}

}  // namespace
}  // namespace berth::snapshotter
