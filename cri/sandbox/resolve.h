// SPDX-License-Identifier: Apache-2.0
// Checks a RunPodSandbox request before anything is made for it, and converts once what the plugins
// take. Pure.
#pragma once

#include <map>
#include <string>

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/resources.h"

namespace berth::cri {

struct ResolvedSandbox {
  plugins::Resources resources{};
  std::map<std::string, std::string> sysctl{};  // the path below /proc/sys -> the value
};

// invalid_argument names the field of the request.
Result<ResolvedSandbox> resolve(const runtime::v1::RunPodSandboxRequest& request);

}  // namespace berth::cri
