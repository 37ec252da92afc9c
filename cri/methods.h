// SPDX-License-Identifier: Apache-2.0
// The methods of runtime.v1 that work: one line here and one file elsewhere for each. The others of
// the protocol are answered UNIMPLEMENTED and named (cri/rpc).
#pragma once

#include "cri/node.h"
#include "cri/rpc/methods.h"

namespace berth::cri {

// `node` is borrowed and outlives every call.
rpc::Methods runtime_v1(Node& node);

}  // namespace berth::cri
