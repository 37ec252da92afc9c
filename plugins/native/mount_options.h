// SPDX-License-Identifier: Apache-2.0
// The options of a mount as mount(8) and the OCI runtime specification write them, as what
// mount_setattr(2) takes.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"

namespace berth::native {

struct MountOptions {
  std::uint64_t flags = 0;            // MOUNT_ATTR_*
  std::uint64_t recursive_flags = 0;  // of the options that begin with "r": "rro"
  std::uint64_t propagation = 0;      // MS_PRIVATE, MS_SLAVE, MS_SHARED; always recursive; 0: none
  std::string data{};                 // for the filesystem: "mode=755,size=64k"
};

// A later option replaces an earlier one that contradicts it. invalid_argument names the option:
// one of a bind mount that is not known, a propagation or an id mapping that berth does not make.
Result<MountOptions> parse_mount_options(const oci::Mount& mount);

}  // namespace berth::native
