// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/capabilities.h"

#include "core/linux/capability.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

Result<std::uint64_t> mask_of(const char* field, const Names& names, std::uint64_t all) {
  std::uint64_t mask = 0;
  for (const std::string& name : names) {
    if (name == "ALL" || name == "all" || name == "CAP_ALL") {
      mask |= all;
      continue;
    }
    const std::optional<int> number = sys::capability_from_name(name);
    if (!number) {
      return invalid_field(std::string("config.linux.security_context.capabilities.") + field,
                           "unknown capability `" + shown(name) + "`");
    }
    mask |= sys::capability_bit(*number);
  }
  return mask;
}

bool names_all(const Names& names) {
  for (const std::string& name : names) {
    if (name == "ALL" || name == "all" || name == "CAP_ALL") return true;
  }
  return false;
}

}  // namespace

Result<oci::Capabilities> capabilities_of(const v1::LinuxContainerSecurityContext& security,
                                          std::uint64_t available) {
  const v1::Capability& wanted = security.capabilities();
  TRY(const std::uint64_t add, mask_of("add_capabilities", wanted.add_capabilities(), available));
  TRY(const std::uint64_t drop, mask_of("drop_capabilities", wanted.drop_capabilities(), ~0ULL));
  TRY(const std::uint64_t ambient,
      mask_of("add_ambient_capabilities", wanted.add_ambient_capabilities(), available));
  std::uint64_t set = security.privileged() ? available : sys::capability_container_default();
  if (names_all(wanted.add_capabilities())) {
    // "add ALL, drop X" means everything but X; otherwise a single added name survives "drop ALL".
    set = add & ~drop;
  } else {
    set = (set & ~drop) | add;
  }
  set = (set | ambient) & available;
  oci::Capabilities capabilities;
  capabilities.bounding = set;
  capabilities.permitted = set;
  capabilities.effective = set;
  capabilities.ambient = ambient & available;
  capabilities.inheritable = capabilities.ambient;
  return capabilities;
}

}  // namespace berth::cri
