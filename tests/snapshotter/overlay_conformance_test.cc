// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/snapshotter_suite.h"
#include "tests/snapshotter/overlay_place.h"

namespace berth::plugins {

INSTANTIATE_TYPED_TEST_SUITE_P(Overlay, SnapshotterSuite, snapshotter::OverlayPlace);

}  // namespace berth::plugins
