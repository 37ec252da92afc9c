// SPDX-License-Identifier: Apache-2.0
// A part of a detached mount can be cloned on every kernel, and an untrusted path stays inside it.
#include "core/linux/subtree.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

namespace fs = std::filesystem;

class Subtree : public ::testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), 0);
    fs::create_directories("/mnt/image/data/deep");
    fs::create_directories("/mnt/outside");
    std::ofstream("/mnt/outside/secret") << "secret";
    std::ofstream("/mnt/image/data/deep/word") << "inside";
    fs::create_symlink("/data/deep", "/mnt/image/absolute");
    fs::create_symlink("../../../../outside", "/mnt/image/upwards");
    fs::create_symlink("/mnt/outside", "/mnt/image/host");
  }
  Result<UniqueMount> clone(const std::string& path) {
    Result<UniqueMount> tree = open_tree_clone(AT_FDCWD, "/mnt/image", false);
    if (!tree.ok()) return tree;
    SubtreeOptions options;
    options.attach = GetParam();
    return clone_subtree(*std::move(tree), path, options);
  }
};

TEST_P(Subtree, IsTheNamedDirectoryOrFileAndNoMountAppears) {
  const std::string before = read_small_file(AT_FDCWD, "/proc/self/mountinfo").value();
  Result<UniqueMount> part = clone("data");
  ASSERT_TRUE(part.ok()) << part.error().message();
  EXPECT_EQ(read_small_file(part->get(), "deep/word").value(), "inside");
  // It is a separate mount: it can be attached, and nothing above it is reachable.
  fs::create_directories("/mnt/place");
  ASSERT_TRUE(move_mount(part->get(), AT_FDCWD, "/mnt/place").ok());
  EXPECT_TRUE(fs::exists("/mnt/place/deep/word"));
  EXPECT_FALSE(fs::exists("/mnt/place/data"));
  ASSERT_EQ(::umount2("/mnt/place", MNT_DETACH), 0);
  Result<UniqueMount> file = clone("data/deep/word");
  ASSERT_TRUE(file.ok()) << file.error().message();
  struct stat status {};
  ASSERT_EQ(::fstatat(file->get(), "", &status, AT_EMPTY_PATH), 0);
  EXPECT_TRUE(S_ISREG(status.st_mode));
  EXPECT_EQ(read_small_file(AT_FDCWD, "/proc/self/mountinfo").value(), before);
}

TEST_P(Subtree, LinksAreResolvedInsideAndLeadNowhereElse) {
  Result<UniqueMount> part = clone("absolute");
  ASSERT_TRUE(part.ok()) << part.error().message();
  EXPECT_EQ(read_small_file(part->get(), "word").value(), "inside");
  for (const char* path : {"upwards", "host", "../outside", "/mnt/outside", "none"}) {
    Result<UniqueMount> out = clone(path);
    ASSERT_FALSE(out.ok()) << path;
    EXPECT_EQ(out.error().sys_errno, ENOENT) << path << ": " << out.error().message();
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, Subtree, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Attached" : "Direct"; });

}  // namespace
}  // namespace berth::sys
