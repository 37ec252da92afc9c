// SPDX-License-Identifier: Apache-2.0
// The checks of a RunPodSandbox request before anything is made for it. Pure.
#pragma once

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

Status validate(const runtime::v1::RunPodSandboxRequest& request);

}  // namespace berth::cri
