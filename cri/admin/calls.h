// SPDX-License-Identifier: Apache-2.0
// The calls of berth.v1.Images, one coroutine each. Streaming calls read their messages from the
// rpc::Call; the others receive the request. `node` and `request` outlive the task.
#pragma once

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/berth/images.pb.h"
#include "cri/rpc/call.h"

namespace berth::cri::admin {

// pull.cc
Task<void> pull(Node& node, rpc::Call& call);
// push.cc
Task<void> push(Node& node, rpc::Call& call);
// save.cc, load.cc
Task<void> save(Node& node, rpc::Call& call);
Task<void> load(Node& node, rpc::Call& call);
// names.cc
Task<berth::v1::TagResponse> tag(Node& node, const berth::v1::TagRequest& request);
Task<berth::v1::PinResponse> pin(Node& node, const berth::v1::PinRequest& request);
// prune.cc
Task<berth::v1::PruneResponse> prune(Node& node, const berth::v1::PruneRequest& request);

}  // namespace berth::cri::admin
