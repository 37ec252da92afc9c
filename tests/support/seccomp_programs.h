// SPDX-License-Identifier: Apache-2.0
// Seccomp profiles compiled as the native runtime handler compiles them.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "core/linux/seccomp/seccomp.h"
#include "cri/spec/seccomp_default.h"
#include "cri/spec/seccomp_profile.h"
#include "plugins/native/seccomp_programs.h"

namespace berth {

inline Result<sys::SeccompInstructions> compiled(oci::Seccomp profile) {
  native::SeccompPrograms programs;
  TRY(const native::SeccompProgram program,
      programs.program_of(std::make_shared<const oci::Seccomp>(std::move(profile))));
  return sys::SeccompInstructions(*program);
}

inline Result<sys::SeccompInstructions> runtime_default_program(std::uint64_t capabilities) {
  return compiled(cri::seccomp_default(capabilities));
}

inline Result<sys::SeccompInstructions> profile_program(std::string_view json,
                                                        std::uint64_t capabilities) {
  TRY(oci::Seccomp profile, cri::parse_seccomp_profile(json, capabilities));
  return compiled(std::move(profile));
}

}  // namespace berth
