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
// args: they follow the entrypoint. An entrypoint of one empty word is none. Nothing to run:
// invalid_argument.
Result<std::vector<std::string>> merge_args(const oci::ImageConfig& image,
                                            const runtime::v1::ContainerConfig& config);
// What a process finds in its environment when neither image nor request says it.
struct EnvironmentDefaults {
  std::string hostname;  // empty: no HOSTNAME
  std::string home;
};
// The image's variables in their order, then the request's; a later one of the same name replaces
// the earlier. PATH gets Docker's default when nobody sets it; TERM with a terminal. Takes time in
// proportion to what it is given: it runs on the loop.
std::vector<std::string> merge_env(const oci::ImageConfig& image,
                                   const runtime::v1::ContainerConfig& config,
                                   const EnvironmentDefaults& defaults);
std::string merge_working_dir(const oci::ImageConfig& image,
                              const runtime::v1::ContainerConfig& config);

}  // namespace berth::cri
