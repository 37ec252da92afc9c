// SPDX-License-Identifier: Apache-2.0
// Every way of making an overlay gives the same tree, and none shows up in the mount table.
#include "core/linux/overlay_mount.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

namespace fs = std::filesystem;

// Everything below a tmpfs that only this process sees.
class OverlayMount : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), 0);
  }
  void SetUp() override {
    for (const char* directory : {"top", "bottom", "upper", "work"}) {
      fs::create_directories(fs::path("/mnt") / directory);
    }
    std::ofstream("/mnt/top/both") << "top";
    std::ofstream("/mnt/bottom/both") << "bottom";
    std::ofstream("/mnt/bottom/below") << "below";
    layers_.lowerdirs = {"/mnt/top", "/mnt/bottom"};
    layers_.upperdir = "/mnt/upper";
    layers_.workdir = "/mnt/work";
  }
  void TearDown() override {
    for (const auto& entry : fs::directory_iterator("/mnt")) fs::remove_all(entry.path());
  }

  static std::string read(const UniqueMount& mount, const std::string& path) {
    return read_small_file(mount.get(), path).value();
  }

  void expect_overlay(const MountFeatures& features) {
    const std::string before = read_small_file(AT_FDCWD, "/proc/self/mountinfo").value();
    Result<UniqueMount> mount = mount_overlay(features, layers_);
    ASSERT_TRUE(mount.ok()) << mount.error().message();
    EXPECT_EQ(read(*mount, "both"), "top");
    EXPECT_EQ(read(*mount, "below"), "below");
    ASSERT_TRUE(openat(mount->get(), "new", O_CREAT | O_WRONLY, 0600).ok());
    EXPECT_TRUE(fs::exists("/mnt/upper/new"));
    EXPECT_EQ(read_small_file(AT_FDCWD, "/proc/self/mountinfo").value(), before);
  }

  OverlayLayers layers_;
};

TEST_F(OverlayMount, ByTheBestWayOfThisKernel) {
  expect_overlay(MountFeatures::probe());
}

TEST_F(OverlayMount, ByOneStringAsOnLinux61) {
  expect_overlay(MountFeatures{.overlay = true});
}

TEST_F(OverlayMount, ByAppendingPathsAsOnLinux67) {
  if (!MountFeatures::probe().overlay_lowerdir_append) GTEST_SKIP() << "kernel before 6.7";
  expect_overlay({.overlay = true, .overlay_lowerdir_append = true});
}

TEST_F(OverlayMount, ManyLayersGoThroughTheClassicCallOnOldKernels) {
  for (int i = 0; i < 40; ++i) {
    const std::string path = "/mnt/layer" + std::to_string(i);
    fs::create_directories(path);
    std::ofstream(path + "/file" + std::to_string(i)) << i;
    layers_.lowerdirs.push_back(path);
  }
  expect_overlay(MountFeatures{.overlay = true});
  EXPECT_EQ(read(mount_overlay({.overlay = true}, layers_).value(), "file39"), "39");
}

TEST_F(OverlayMount, WithoutUpperdirItIsReadOnly) {
  layers_.upperdir.clear();
  layers_.workdir.clear();
  const UniqueMount mount = mount_overlay(MountFeatures::probe(), layers_).value();
  EXPECT_EQ(read(mount, "both"), "top");
  EXPECT_EQ(openat(mount.get(), "new", O_CREAT | O_WRONLY, 0600).error().sys_errno, EROFS);
}

TEST_F(OverlayMount, PathsRelativeToADescriptorMayContainAnything) {
  fs::create_directories("/mnt/a,b:c\\d");
  std::ofstream("/mnt/a,b:c\\d/odd") << "odd";
  const UniqueFd base(::open("/mnt", O_PATH | O_CLOEXEC));
  layers_ = {.dirfd = base.get(),
             .lowerdirs = {"a,b:c\\d", "bottom"},
             .upperdir = "upper",
             .workdir = "work"};
  EXPECT_EQ(read(mount_overlay(MountFeatures::probe(), layers_).value(), "odd"), "odd");
  EXPECT_EQ(read(mount_overlay({.overlay = true}, layers_).value(), "odd"), "odd");
}

TEST_F(OverlayMount, ErrorsNameThePathOrTheOption) {
  OverlayLayers layers = layers_;
  layers.lowerdirs[1] = "/mnt/none";
  EXPECT_EQ(mount_overlay(MountFeatures::probe(), layers).error().message(),
            "open `/mnt/none`: ENOENT");
  layers = layers_;
  layers.options = {"no_such_option"};
  const Error error = mount_overlay(MountFeatures::probe(), layers).error();
  EXPECT_NE(error.message().find("no_such_option"), std::string::npos) << error.message();
}

TEST_F(OverlayMount, ClosingTheDescriptorUnmounts) {
  {
    const UniqueMount mount = mount_overlay(MountFeatures::probe(), layers_).value();
    EXPECT_TRUE(mount.valid());
  }
  // The same upperdir and workdir can be used again at once.
  EXPECT_TRUE(mount_overlay(MountFeatures::probe(), layers_).ok());
}

TEST(MountFeatures, DescribeIsASentenceForEachWay) {
  EXPECT_NE(MountFeatures{}.describe(), MountFeatures{.overlay = true}.describe());
  EXPECT_EQ(MountFeatures::probe().overlay, true);
}

}  // namespace
}  // namespace berth::sys
