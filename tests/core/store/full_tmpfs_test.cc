// SPDX-License-Identifier: Apache-2.0
// "A full tmpfs: one clear line, never a crash." With MDB_WRITEMAP this would be SIGBUS.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/store/state.h"
#include "tests/support/temporary_dir.h"

namespace berth::store {
namespace {

constexpr Table kPods{"pods", 1};

// Fills the filesystem with one file.
void fill(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  const std::string page(4096, 'b');
  while (::write(fd, page.data(), page.size()) > 0) {
  }
  ::close(fd);
}

TEST(FullTmpfs, IsResourceExhaustedNamesTheDirectoryAndHealsWhenThereIsRoom) {
  TemporaryDir dir;
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "unshare: " << ::strerror(errno);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("berth-test", dir.path().c_str(), "tmpfs", 0, "size=256k"), 0);
  {
    State state = MUST(State::open(dir / "s", {}));
    ASSERT_TRUE(state.put(kPods, "kept", "v").ok());
    const std::string ballast = dir / "ballast";
    fill(ballast);
    Status filled;
    for (int i = 0; i < 200 && filled.ok(); ++i) {
      filled = state.put(kPods, "k" + std::to_string(i), std::string(3000, 'x'));
    }
    ASSERT_FALSE(filled.ok());
    EXPECT_TRUE(filled.error().is(Errc::resource_exhausted)) << filled.error().message();
    EXPECT_NE(filled.error().message().find(dir / "s"), std::string::npos);
    EXPECT_EQ(MUST(state.get(kPods, "kept")), "v");

    ASSERT_EQ(::unlink(ballast.c_str()), 0);
    EXPECT_TRUE(state.put(kPods, "after", "v").ok());
  }
  EXPECT_EQ(::umount2(dir.path().c_str(), 0), 0);
}

// An image store removes records when its disk is full.
TEST(FullTmpfs, RecordsOfADurableStoreCanBeTakenAwayWhenNothingIsFree) {
  TemporaryDir dir;
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "unshare: " << ::strerror(errno);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("berth-test", dir.path().c_str(), "tmpfs", 0, "size=4m"), 0);
  {
    State state = MUST(State::open(dir / "s", {.durable = true}));
    // One transaction, so that it leaves no free page for a later one.
    const auto put_all = [](WriteTxn& txn) -> Status {
      for (int i = 0; i < 100; ++i) {
        TRY_(txn.put(kPods, "k" + std::to_string(i), std::string(1000, 'x')));
      }
      return {};
    };
    ASSERT_TRUE(state.write(put_all).ok());
    fill(dir / "ballast");
    for (int i = 0; i < 100; ++i) {
      const Result<bool> erased = state.erase(kPods, "k" + std::to_string(i));
      ASSERT_TRUE(erased.ok()) << i << ": " << erased.error().message();
    }
  }
  EXPECT_EQ(::umount2(dir.path().c_str(), 0), 0);
}

}  // namespace
}  // namespace berth::store
