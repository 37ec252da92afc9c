// SPDX-License-Identifier: Apache-2.0
// The namespaces and the host name that a sandbox's config asks for. Pure.
#pragma once

#include <string>

#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/runtime_handler.h"

namespace berth::cri {

// A pod on the host's network has the host's name, too.
plugins::SandboxNamespaces namespaces_of(const runtime::v1::PodSandboxConfig& config);

// The config's host name, else the pod's name cut to the length that the kernel takes.
std::string hostname_of(const runtime::v1::PodSandboxConfig& config);

}  // namespace berth::cri
