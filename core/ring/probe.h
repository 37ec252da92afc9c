// SPDX-License-Identifier: Apache-2.0
// What berth needs from io_uring, as one list with the kernel that brought each thing, so that a
// start-up failure says exactly which one is missing. Features are probed, versions never compared.
#pragma once

#include "core/base/result.h"

namespace berth {

class RawRing;

// `features` is io_uring_params.features.
Status check_features(unsigned features);
Status check_opcodes(const RawRing& ring);

}  // namespace berth
