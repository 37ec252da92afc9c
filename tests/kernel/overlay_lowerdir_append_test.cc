// SPDX-License-Identifier: Apache-2.0
// FACT: fsconfig takes no string of 256 bytes, so one "lowerdir=a:b:c" holds few layers;
// "lowerdir+" takes them one by one (Linux 6.7) and as descriptors (6.13). Before 6.5 overlayfs
// accepts any key until the mount is made, so the probe first tries a key that does not exist.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "core/linux/overlay_mount.h"

namespace berth::sys {
namespace {

TEST(LowerdirAppend, StringsOf256BytesAreRefused) {
  FsContext context = FsContext::open("overlay").value();
  const Status long_one = context.set_string("lowerdir", std::string(256, 'a'));
  ASSERT_FALSE(long_one.ok());
  EXPECT_EQ(long_one.error().sys_errno, EINVAL);
}

TEST(LowerdirAppend, LayersAreTakenOneByOne) {
  if (!MountFeatures::probe().overlay_lowerdir_append) GTEST_SKIP() << "needs Linux 6.7";
  FsContext context = FsContext::open("overlay").value();
  for (int layer = 0; layer < 100; ++layer) {
    const Status added = context.set_string("lowerdir+", "/etc");
    ASSERT_TRUE(added.ok()) << layer << ": " << added.error().message();
  }
}

TEST(LowerdirAppend, LayersAreTakenAsDescriptors) {
  if (!MountFeatures::probe().overlay_layers_by_fd) GTEST_SKIP() << "needs Linux 6.13";
  FsContext context = FsContext::open("overlay").value();
  const UniqueFd layer(::open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(context.set_fd("lowerdir+", layer.get()).ok());
}

TEST(LowerdirAppend, ProbedFeaturesImplyTheOlderOnes) {
  const MountFeatures features = MountFeatures::probe();
  EXPECT_TRUE(!features.overlay_layers_by_fd || features.overlay_lowerdir_append);
  EXPECT_TRUE(!features.overlay_lowerdir_append || features.overlay);
}

}  // namespace
}  // namespace berth::sys
