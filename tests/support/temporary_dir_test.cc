// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temporary_dir.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>

namespace berth {
namespace {

namespace fs = std::filesystem;

void make_old(const std::string& path) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::minutes(5));
}

TEST(TemporaryDirTest, GoesWithItsOwnerAndLeavesOthersAlone) {
  const TemporaryDir other;
  make_old(other.path());
  std::optional<TemporaryDir> mine(std::in_place);
  const std::string path = mine->path();
  fs::create_directories(path + "/a/b");
  mine.reset();
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(other.path())) << "it is old, and in use";
}

TEST(TemporaryDirTest, WhatACrashLeftIsRemovedByTheNext) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const TemporaryDir lost;
    static_cast<void>(!::write(ends[1], lost.path().data(), lost.path().size()));
    ::_exit(1);
  }
  ::waitpid(pid, nullptr, 0);
  char text[64] = {};
  ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
  ::close(ends[0]);
  ::close(ends[1]);
  ASSERT_TRUE(fs::exists(text));
  const TemporaryDir soon_after;
  EXPECT_TRUE(fs::exists(text)) << "it may be one that is just being made";
  make_old(text);
  const TemporaryDir later;
  EXPECT_FALSE(fs::exists(text));
}

}  // namespace
}  // namespace berth
