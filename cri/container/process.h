// SPDX-License-Identifier: Apache-2.0
// The container's command, environment and working directory: the image's defaults and the request,
// merged as Kubernetes documents it ("Define a Command and Arguments for a Container"). Pure.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/oci/image.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// command and args given: they replace entrypoint and cmd. Only command: cmd is dropped too. Only
// args: they follow the entrypoint. Nothing to run: invalid_argument.
Result<std::vector<std::string>> merge_args(const oci::ImageConfig& image,
                                            const runtime::v1::ContainerConfig& config);
// The image's variables in their order, then the request's; a later one of the same name replaces
// the earlier. PATH gets Docker's default when nobody sets it; TERM with a terminal; HOSTNAME.
std::vector<std::string> merge_env(const oci::ImageConfig& image,
                                   const runtime::v1::ContainerConfig& config,
                                   const std::string& hostname);
std::string merge_working_dir(const oci::ImageConfig& image,
                              const runtime::v1::ContainerConfig& config);
// "SIGTERM", "TERM", "15", "SIGRTMIN+3" to a number. Unknown: invalid_argument.
Result<int> signal_number(const std::string& name);

}  // namespace berth::cri
