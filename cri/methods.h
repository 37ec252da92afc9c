// SPDX-License-Identifier: Apache-2.0
// The methods of runtime.v1 that are built: a line in methods.cc and a file of its own for each.
// The others are answered UNIMPLEMENTED with their name (cri/rpc).
#pragma once

#include "cri/node.h"
#include "cri/rpc/methods.h"

namespace berth::cri {

// `node` is borrowed and outlives every call.
rpc::Methods runtime_v1(Node& node);

}  // namespace berth::cri
