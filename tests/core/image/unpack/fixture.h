// SPDX-License-Identifier: Apache-2.0
// A directory to unpack into, another one as the lower layer, and a tree outside that must not
// change. Needs root, as unpacking does.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/image/unpack/unpack.h"
#include "tests/core/image/unpack/tar_builder.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {

namespace fs = std::filesystem;

class UnpackTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: chown, mknod, trusted xattrs";
    fs::create_directories(dir_ + "/layer");
    fs::create_directories(dir_ + "/lower");
    fs::create_directories(dir_ + "/outside");
    std::ofstream(dir_ + "/outside/witness") << "untouched";
    outside_before_ = outside();
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(outside(), outside_before_) << "something outside the layer changed";
  }

  Result<UnpackStats> unpack(const std::string& tar, const UnpackLimits& limits = {}) {
    const UniqueFd directory(::open(root("").c_str(), O_RDONLY | O_DIRECTORY));
    std::vector<UniqueFd> lowers;
    if (with_lower_) {
      lowers.emplace_back(::open((dir_ + "/lower").c_str(), O_RDONLY | O_DIRECTORY));
    }
    BytesSource source(tar);
    const LayerPlace place = with_lower_ ? LayerPlace::above_others : LayerPlace::lowest;
    TRY(const UnpackResult result,
        unpack_layer(directory.get(), place, "sha256:test", source, limits));
    TRY_(adopt_directories(directory.get(), lowers, result.implied, "sha256:test"));
    return result.stats;
  }
  void must_unpack(TarBuilder& tar) {
    Result<UnpackStats> stats = unpack(tar.finish());
    ASSERT_TRUE(stats.ok()) << stats.error().message();
  }
  // The whole error text.
  std::string must_fail(TarBuilder& tar, const UnpackLimits& limits = {}) {
    Result<UnpackStats> stats = unpack(tar.finish(), limits);
    EXPECT_FALSE(stats.ok());
    if (stats.ok()) return "";
    EXPECT_NE(stats.error().message().find("layer sha256:test"), std::string::npos)
        << stats.error().message();
    return stats.error().message();
  }

  std::string root(const std::string& path) const { return dir_ + "/layer/" + path; }
  std::string lower(const std::string& path) const { return dir_ + "/lower/" + path; }
  struct stat stat_of(const std::string& path) const {
    struct stat status {};
    EXPECT_EQ(::lstat(root(path).c_str(), &status), 0) << path;
    return status;
  }
  bool exists(const std::string& path) const {
    struct stat status;
    return ::lstat(root(path).c_str(), &status) == 0;
  }
  bool is_whiteout(const std::string& path) const {
    struct stat status;
    return ::lstat(root(path).c_str(), &status) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == 0;
  }
  bool is_opaque(const std::string& path) const {
    char value[8];
    return ::lgetxattr(root(path).c_str(), "trusted.overlay.opaque", value, sizeof value) == 1 &&
           value[0] == 'y';
  }
  std::string read(const std::string& path) const {
    std::ifstream in(root(path));
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  std::size_t count() const {
    std::size_t all = 0;
    for (auto it = fs::recursive_directory_iterator(root("")); it != fs::end(it); ++it) ++all;
    return all;
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  bool with_lower_ = false;

 private:
  // Names, contents, inode, mode and times of everything outside.
  std::string outside() const {
    std::stringstream all;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ + "/outside")) {
      struct stat status {};
      ::lstat(entry.path().c_str(), &status);
      std::ifstream in(entry.path());
      all << entry.path() << status.st_ino << ' ' << status.st_mode << ' ' << status.st_nlink << ' '
          << status.st_mtim.tv_nsec << ' ' << in.rdbuf() << '\n';
    }
    return all.str();
  }

  std::string outside_before_;
};

}  // namespace berth::image
