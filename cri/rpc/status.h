// SPDX-License-Identifier: Apache-2.0
// Error to gRPC: the code is the Error's, the text is its message, cut at 8 KiB (gRPC sends it in a
// header, and clients refuse large ones).
#pragma once

#include <grpcpp/support/status.h>

#include "core/base/error.h"

namespace berth::rpc {

grpc::Status to_grpc(const Error& error);

}  // namespace berth::rpc
