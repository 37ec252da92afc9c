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
#include "tests/core/store/temporary_dir.h"

namespace berth::store {
namespace {

constexpr Table kPods{"pods", 1};

TEST(FullTmpfs, IsResourceExhaustedNamesTheDirectoryAndHealsWhenThereIsRoom) {
  TemporaryDir dir;
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "unshare: " << ::strerror(errno);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("berth-test", dir.path().c_str(), "tmpfs", 0, "size=256k"), 0);
  {
    State state = MUST(State::open(dir / "s", {}));
    ASSERT_TRUE(state.put(kPods, "kept", "v").ok());
    const std::string ballast = dir / "ballast";
    const int fd = ::open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    const std::string page(4096, 'b');
    while (::write(fd, page.data(), page.size()) > 0) {
    }
    ::close(fd);

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

}  // namespace
}  // namespace berth::store
