// SPDX-License-Identifier: Apache-2.0
#include "core/linux/openat2.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace berth::sys {
namespace {

namespace fs = std::filesystem;

class InRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "berth-openat2-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    fs::create_directories(base_ / "root/etc");
    fs::create_directories(base_ / "outside");
    std::ofstream(base_ / "root/etc/file") << "inside";
    std::ofstream(base_ / "outside/file") << "outside";
    root_.reset(::open((base_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(root_.valid());
  }
  void TearDown() override { fs::remove_all(base_); }

  void link(const std::string& name, const std::string& target) {
    fs::create_symlink(target, base_ / "root" / name);
  }
  bool made(const std::string& path) { return fs::is_directory(base_ / "root" / path); }

  fs::path base_;
  UniqueFd root_;
};

Result<std::string> read_in_root(int root, const std::string& path, std::size_t size_max = 100) {
  TRY(const UniqueFd fd, open_regular_in_root_if_exists(root, path));
  if (!fd.valid()) return sys_error(ENOENT, "open", path);
  return read_all(fd.get(), size_max, path);
}

TEST_F(InRoot, LinksAndDotsAreResolvedBelowTheRoot) {
  link("absolute", "/etc/file");
  link("climbing", "../../../etc/file");
  for (const char* path : {"etc/file", "/etc/file", "absolute", "climbing", "../../etc/file"}) {
    EXPECT_EQ(read_in_root(root_.get(), path).value(), "inside") << path;
  }
  EXPECT_FALSE(read_in_root(root_.get(), "../outside/file").ok());
}

TEST_F(InRoot, MagicLinksAreRefused) {
  const UniqueFd outside(::open((base_ / "outside").c_str(), O_PATH | O_CLOEXEC));
  const std::string path = "fd/" + std::to_string(outside.get());
  const UniqueFd proc(::open("/proc/self", O_PATH | O_CLOEXEC));
  EXPECT_EQ(open_in_root(proc.get(), path, O_PATH).error().sys_errno, ELOOP);
}

TEST_F(InRoot, AbsenceIsNoErrorIfTheCallerAllowsIt) {
  EXPECT_FALSE(open_in_root_if_exists(root_.get(), "none", O_PATH).value().valid());
  EXPECT_FALSE(open_in_root_if_exists(root_.get(), "etc/file/none", O_PATH).value().valid());
  EXPECT_EQ(open_in_root(root_.get(), "none", O_PATH).error().message(), "openat2 `none`: ENOENT");
}

TEST_F(InRoot, MissingDirectoriesAreMadeWithTheirMode) {
  const mode_t old = ::umask(0);
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "/a/b//c/", {.mode = 0750}).ok());
  ::umask(old);
  EXPECT_TRUE(made("a/b/c"));
  EXPECT_EQ(fs::status(base_ / "root/a/b").permissions(), fs::perms(0750));
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "a/b/c").ok()) << "again";
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "").ok()) << "the root itself";
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "a/new/../x").ok());
  EXPECT_TRUE(made("a/x"));
}

TEST_F(InRoot, DanglingLinksAreMadeInsideWhereTheyPoint) {
  link("var-run", "/run/deep");
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "var-run/x/y").ok());
  EXPECT_TRUE(made("run/deep/x/y"));
  fs::create_directories(base_ / "root/d");
  link("d/relative", "other/place");
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "d/relative").ok());
  EXPECT_TRUE(made("d/other/place"));
  link("escape", (base_ / "outside/new").string());
  EXPECT_TRUE(mkdirs_in_root(root_.get(), "escape").ok());
  EXPECT_FALSE(fs::exists(base_ / "outside/new"));
}

TEST_F(InRoot, ObstaclesAreErrorsAndNothingHangs) {
  EXPECT_EQ(mkdirs_in_root(root_.get(), "etc/file/x").error().sys_errno, ENOTDIR);
  EXPECT_EQ(mkdirs_in_root(root_.get(), "etc/file").error().sys_errno, ENOTDIR);
  link("self", "self");
  EXPECT_EQ(mkdirs_in_root(root_.get(), "self/x").error().sys_errno, ELOOP);
  // Each link points below the other: there is no loop of links, but resolution would never end.
  link("ping", "/pong/a");
  link("pong", "/ping/b");
  EXPECT_FALSE(mkdirs_in_root(root_.get(), "ping").ok());
  EXPECT_EQ(mkdirs_in_root(root_.get(), std::string(5000, 'x')).error().sys_errno, ENAMETOOLONG);
  EXPECT_EQ(mkdirs_in_root(root_.get(), std::string(300, 'x')).error().sys_errno, ENAMETOOLONG);
}

TEST_F(InRoot, OnlyRegularFilesOfBoundedSizeAreRead) {
  ASSERT_EQ(::mkfifo((base_ / "root/fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_in_root(root_.get(), "fifo").error().code, Errc::failed_precondition);
  EXPECT_EQ(read_in_root(root_.get(), "etc/file", 3).error().code, Errc::resource_exhausted);
}

// Opening a device has effects: a watchdog starts, a tape rewinds. A FIFO stands for all devices
// here; inotify reports whether it was opened.
TEST_F(InRoot, FilesThatAreNotRegularAreRefusedWithoutBeingOpened) {
  ASSERT_EQ(::mkfifo((base_ / "root/fifo").c_str(), 0600), 0);
  link("to-fifo", "/fifo");
  const UniqueFd events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(events.get(), (base_ / "root/fifo").c_str(), IN_OPEN), 0);
  for (const char* path : {"fifo", "to-fifo"}) {
    const Error error = open_regular_in_root_if_exists(root_.get(), path).error();
    EXPECT_EQ(error.code, Errc::failed_precondition);
    EXPECT_NE(error.message().find(path), std::string::npos) << error.message();
  }
  char event[4096];
  EXPECT_LT(::read(events.get(), event, sizeof event), 0) << "the FIFO was opened";
  EXPECT_EQ(errno, EAGAIN);
  const UniqueFd opened(::open((base_ / "root/fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_GT(::read(events.get(), event, sizeof event), 0) << "inotify does not report an open";
}

TEST_F(InRoot, ARegularFileIsOpenedForReadingAloneAndAbsenceIsNoError) {
  const UniqueFd file = open_regular_in_root_if_exists(root_.get(), "etc/file").value();
  EXPECT_EQ(read_all(file.get(), 100, "file").value(), "inside");
  EXPECT_EQ(::fcntl(file.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(open_regular_in_root_if_exists(root_.get(), "etc/none").value().valid());
}

}  // namespace
}  // namespace berth::sys
