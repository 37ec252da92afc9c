// SPDX-License-Identifier: Apache-2.0
// FACT: openat2 with RESOLVE_IN_ROOT fails with EAGAIN when anything is renamed anywhere while it
// walks over "..", so the caller tries again (openat2(2)).
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "core/base/units.h"
#include "core/linux/mount.h"

namespace berth::sys {
namespace {

TEST(Openat2, IsEagainDuringARename) {
  const UniqueMount tmpfs = mount_filesystem("tmpfs", "size=64k").value();
  ASSERT_EQ(::mkdirat(tmpfs.get(), "directory", 0755), 0);
  ASSERT_EQ(::mkdirat(tmpfs.get(), "a", 0755), 0);
  std::atomic<bool> end = false;
  std::thread renamer([&]() {
    while (!end) {
      ::renameat(tmpfs.get(), "a", tmpfs.get(), "b");
      ::renameat(tmpfs.get(), "b", tmpfs.get(), "a");
    }
  });
  std::string path;
  for (int i = 0; i < 200; ++i) path += "directory/../";
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  int error = 0;
  constexpr std::int64_t kPatienceNs = 20 * kNanosecondsPerSecond;
  const std::int64_t give_up = monotonic_now_ns() + kPatienceNs;
  while (error == 0 && monotonic_now_ns() < give_up) {
    const long fd = ::syscall(SYS_openat2, tmpfs.get(), path.c_str(), &how, sizeof how);
    error = fd < 0 ? errno : 0;
    if (fd >= 0) ::close(static_cast<int>(fd));
  }
  end = true;
  renamer.join();
  EXPECT_EQ(error, EAGAIN);
}

}  // namespace
}  // namespace berth::sys
