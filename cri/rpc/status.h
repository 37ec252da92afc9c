// SPDX-License-Identifier: Apache-2.0
// Converts an Error to a gRPC status with the same code. The text is the Error's message, cut at
// 8 KiB, because gRPC sends it in a header and clients refuse large headers.
#pragma once

#include <grpcpp/support/status.h>

#include "core/base/error.h"

namespace berth::rpc {

grpc::Status to_grpc(const Error& error);

}  // namespace berth::rpc
