// SPDX-License-Identifier: Apache-2.0
// The seccomp profile that a request asks for. Each one is made or read once per agent for each set
// of capabilities, on which RuntimeDefault depends, and so may a Localhost profile in docker's
// form. That one's key has also its path, size and time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

class SeccompProfiles {
 public:
  using Profile = std::shared_ptr<const oci::Seccomp>;

  // `root` is where relative localhost_ref paths start.
  explicit SeccompProfiles(std::string root) : root_(std::move(root)) {}

  // A security context without a profile is unconfined, a privileged container too; that is what
  // CRI runtimes do and the conformance suite asks for. Null: unconfined. invalid_argument names
  // the field or the profile.
  Result<Profile> profile_of(const runtime::v1::LinuxContainerSecurityContext& security,
                             std::uint64_t capabilities);

 private:
  Result<Profile> runtime_default(std::uint64_t capabilities);
  Result<Profile> localhost(const std::string& reference, std::uint64_t capabilities);
  Profile keep(const std::string& key, oci::Seccomp profile);

  static constexpr std::size_t kProfilesMax = 64;  // different profiles on one node are few

  std::string root_;
  std::map<std::string, Profile> profiles_;
};

}  // namespace berth::cri
