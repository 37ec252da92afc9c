// SPDX-License-Identifier: Apache-2.0
// What a pod's request becomes for plugins: CNI_ARGS and the values of capabilities (the CNI
// project's conventions document). Pure.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/network.h"

namespace berth::networking::cni {

// As a kubelet's runtimes set them. invalid_argument names the field of the pod that has a ";" or
// a control character, which would change other arguments.
Result<std::string> cni_args(const plugins::NetworkRequest& request);

// An object of all capability values: portMappings (those with a host port), bandwidth, dns,
// ipRanges (of `pod_cidrs`), cgroupPath and io.kubernetes.cri.pod-annotations. What the request
// does not have is left out. invalid_argument names the annotation.
Result<std::string> runtime_config(const plugins::NetworkRequest& request,
                                   const std::vector<std::string>& pod_cidrs);

}  // namespace berth::networking::cni
