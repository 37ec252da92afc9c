// SPDX-License-Identifier: Apache-2.0
// Between core/oci/spec.h and its stored form. Pure.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/state/spec.pb.h"

namespace berth::cri::records {

// All but the seccomp profile, which has a table of its own.
state::v1::Spec stored_spec(const oci::Spec& spec);
oci::Spec loaded_spec(const state::v1::Spec& stored);
oci::Process loaded_process(const state::v1::SpecProcess& stored);

std::string stored_seccomp(const oci::Seccomp& profile);
// data_loss: cannot be parsed.
Result<oci::Seccomp> loaded_seccomp(const std::string& stored);

}  // namespace berth::cri::records
