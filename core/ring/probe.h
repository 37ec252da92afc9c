// SPDX-License-Identifier: Apache-2.0
// The io_uring features and operations that berth needs, each with the kernel version that added
// it, so that a start-up failure names the missing one. Features are probed, versions never
// compared.
#pragma once

#include "core/base/result.h"

namespace berth {

class RawRing;

// `features` is io_uring_params.features.
Status check_features(unsigned features);
Status check_opcodes(const RawRing& ring);

}  // namespace berth
