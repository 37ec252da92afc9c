// SPDX-License-Identifier: Apache-2.0
// The methods of berth.v1, berthd's own API beside the CRI, served on the same socket.
#pragma once

#include "cri/node.h"
#include "cri/rpc/methods.h"

namespace berth::cri::admin {

// `node` is borrowed and outlives every call.
void add_methods(Node& node, rpc::Methods& methods);

}  // namespace berth::cri::admin
