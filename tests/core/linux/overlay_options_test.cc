// SPDX-License-Identifier: Apache-2.0
#include "core/linux/overlay_options.h"

#include <gtest/gtest.h>

namespace berth::sys {
namespace {

using Paths = std::vector<std::string>;

TEST(OverlayOptions, ListsAreSplitAtColonsThatAreNotEscaped) {
  const OverlayLayers layers =
      overlay_layers({R"(lowerdir=/a:/b\:c:/d\\)", "upperdir=/u", "workdir=/w"});
  EXPECT_EQ(layers.lowerdirs, (Paths{"/a", "/b:c", R"(/d\)"}));
  EXPECT_EQ(layers.upperdir, "/u");
  EXPECT_EQ(layers.workdir, "/w");
}

TEST(OverlayOptions, AnAppendedLayerIsOnePathAsItIs) {
  EXPECT_EQ(overlay_layers({R"(lowerdir+=/a:b\c)", "lowerdir+=/d"}).lowerdirs,
            (Paths{R"(/a:b\c)", "/d"}));
}

TEST(OverlayOptions, OtherOptionsStayAndReadOnlyIsLeftOut) {
  const OverlayLayers layers = overlay_layers({"ro", "volatile", "userxattr", "index=off"});
  EXPECT_TRUE(layers.is_volatile);
  EXPECT_EQ(layers.options, (Paths{"userxattr", "index=off"}));
}

}  // namespace
}  // namespace berth::sys
