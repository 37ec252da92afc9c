// SPDX-License-Identifier: Apache-2.0
// Compiled seccomp programs: each profile is compiled once per agent for each set of capabilities,
// on which RuntimeDefault depends, and so may a localhost profile in docker's form. That one's key
// has also its path, size and time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

class SeccompCache {
 public:
  // `root` is where relative localhost_ref paths start.
  explicit SeccompCache(std::string root) : root_(std::move(root)) {}

  // A security context without a profile is unconfined, a privileged container too; that is what
  // CRI runtimes do and the conformance suite asks for. invalid_argument names the field or the
  // profile.
  Result<oci::SeccompProgram> program_of(const runtime::v1::LinuxContainerSecurityContext& security,
                                         std::uint64_t capabilities);

 private:
  Result<oci::SeccompProgram> runtime_default(std::uint64_t capabilities);
  Result<oci::SeccompProgram> localhost(const std::string& reference, std::uint64_t capabilities);

  static constexpr std::size_t kProgramsMax = 64;  // different profiles on one node are few

  std::string root_;
  std::map<std::string, oci::SeccompProgram> programs_;
};

}  // namespace berth::cri
