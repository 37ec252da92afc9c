// SPDX-License-Identifier: Apache-2.0
// From a CreateContainer request, the image's configuration and what was found on the host to the
// OCI specification of the container. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/oci/image.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/spec/devices.h"
#include "cri/spec/user.h"
#include "plugins/api/runtime_handler.h"

namespace berth::cri {

struct SpecInput {
  const runtime::v1::ContainerConfig& config;
  plugins::SandboxNamespaces namespaces{};  // of the sandbox
  oci::Capabilities capabilities{};         // capabilities_of(config...)
  std::uint64_t open_files_max = 0;         // the agent's own hard limit
  std::int64_t pids_limit = 0;              // 0: no limit
  std::string cgroups_path{};
  FoundDevices devices{};
  std::shared_ptr<const oci::Seccomp> seccomp{};
};

// All but the members of the process that resolve_process sets. invalid_argument names the field.
Result<oci::Spec> spec_of(SpecInput input);

struct ProcessInput {
  const runtime::v1::ContainerConfig& config;
  const oci::ImageConfig& image;
  const UserFiles& files;
  std::string hostname{};
};

// Sets user, args, env and cwd. invalid_argument names the field, or the user that the image does
// not have.
Status resolve_process(oci::Process& process, const ProcessInput& input);

// Refuses an AppArmor profile that cannot be enforced; it is never ignored. `enabled`: the kernel
// has AppArmor.
Status check_apparmor(const runtime::v1::LinuxContainerSecurityContext& security, bool enabled);

}  // namespace berth::cri
