// SPDX-License-Identifier: Apache-2.0
// SeccompPrograms: compiled filters, one for each content of a profile. Compiling takes
// milliseconds, so a profile that several containers have is compiled once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/oci/spec.h"

namespace berth::native {

using SeccompProgram = std::shared_ptr<const std::vector<std::uint64_t>>;

class SeccompPrograms {
 public:
  // Null: unconfined. invalid_argument names the member or the system call that cannot be
  // expressed.
  Result<SeccompProgram> program_of(const std::shared_ptr<const oci::Seccomp>& profile);

 private:
  static constexpr std::size_t kProgramsMax = 64;  // different profiles on one node are few

  // The same object again: no need to look at its content.
  struct Recent {
    std::weak_ptr<const oci::Seccomp> profile;
    SeccompProgram program;
  };
  std::map<const oci::Seccomp*, Recent> recent_;
  std::map<std::string, SeccompProgram> programs_;
};

}  // namespace berth::native
