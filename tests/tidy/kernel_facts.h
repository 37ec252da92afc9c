// SPDX-License-Identifier: Apache-2.0
// STYLE 7: a comment "KERNEL 6.1: ..." tells a fact about the kernel and names its proof.
#pragma once

#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

// Comments of product code without "Proof: PATH", or whose file is not among `sources`.
std::vector<Finding> check_kernel_facts(const std::vector<Source>& sources);

}  // namespace berth::tidy
