// SPDX-License-Identifier: Apache-2.0
// A specification as the file config.json of an OCI bundle (runtime-spec 1.2). Pure.
//
// A member of core/oci/spec.h that is not of the specification is left out: SeccompArg::is_int
// becomes a masked comparison where there is one; runc does Seccomp::newer_is_absent by itself.
#pragma once

#include <functional>
#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"

namespace berth::oci {

// Paths of what a Spec names or leaves out.
struct BundlePaths {
  std::string rootfs{};  // root.path
  // Of a mount's source that begins with "berth:".
  std::function<Result<std::string>(const std::string& name)> mount_source{};
  // Of a namespace's path that begins with "berth:".
  std::function<Result<std::string>(NamespaceType type, const std::string& name)> namespace_path{};
};

// invalid_argument: a string is not UTF-8, which JSON cannot hold; names the member:
// "process.env[3]". Errors of `paths` are passed on.
Result<std::string> config_json(const Spec& spec, const BundlePaths& paths);

}  // namespace berth::oci
