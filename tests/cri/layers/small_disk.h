// SPDX-License-Identifier: Apache-2.0
// Small filesystems that a test can fill. They are in the mount namespace of the test and end with
// it: a loop device is detached by its last unmount (LO_FLAGS_AUTOCLEAR, which mount(8) sets).
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/unique_fd.h"

namespace berth::cri {

class SmallDisk {
 public:
  struct Used {
    std::uint64_t bytes;
    std::uint64_t inodes;
  };

  // `options` of tmpfs, such as "size=700k".
  static SmallDisk tmpfs(const std::string& at, const std::string& options) {
    std::filesystem::create_directories(at);
    EXPECT_EQ(::mount("small", at.c_str(), "tmpfs", 0, options.c_str()), 0) << options;
    return SmallDisk(at);
  }
  // An ext4 in the file `image`.
  static SmallDisk ext4(const std::string& at, const std::string& image, std::uint64_t size) {
    std::filesystem::create_directories(at);
    const UniqueFd file(::open(image.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(shell("mkfs.ext4 -q -m 0 -b 4096 " + image), 0);
    EXPECT_EQ(shell("mount -o loop " + image + " " + at), 0);
    return SmallDisk(at);
  }
  // Whether this kernel and machine let a file be a disk; else why not.
  static std::string why_no_loop() {
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.valid()) return "no loop device can be had";
    return "";
  }

  SmallDisk(SmallDisk&& other) noexcept : at_(std::move(other.at_)) { other.at_.clear(); }
  SmallDisk& operator=(SmallDisk&&) = delete;
  ~SmallDisk() {
    if (!at_.empty()) {
      EXPECT_EQ(::umount2(at_.c_str(), 0), 0) << at_;
    }
  }

  Used used() const {
    const struct statfs status = state();
    const std::uint64_t blocks = status.f_blocks - status.f_bfree;
    return {blocks * static_cast<std::uint64_t>(status.f_bsize), status.f_files - status.f_ffree};
  }
  // Uses all free space but `bytes`.
  void leave(std::uint64_t bytes) {
    const struct statfs status = state();
    const std::uint64_t free = status.f_bavail * static_cast<std::uint64_t>(status.f_bsize);
    ASSERT_GT(free, bytes);
    const UniqueFd file(::open(filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::posix_fallocate(file.get(), 0, static_cast<off_t>(free - bytes)), 0);
  }
  // Frees the space that leave() used.
  void make_room() { ASSERT_EQ(::unlink(filler().c_str()), 0); }
  const std::string& at() const { return at_; }

 private:
  explicit SmallDisk(std::string at) : at_(std::move(at)) {}
  static int shell(const std::string& command) { return std::system(command.c_str()); }
  std::string filler() const { return at_ + "/filler"; }
  struct statfs state() const {
    struct statfs status {};
    EXPECT_EQ(::statfs(at_.c_str(), &status), 0);
    return status;
  }

  std::string at_;
};

}  // namespace berth::cri
