// SPDX-License-Identifier: Apache-2.0
// What a CreateContainer request must be before anything is made for it. Pure.
#pragma once

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

Status validate(const runtime::v1::CreateContainerRequest& request);

}  // namespace berth::cri
