// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/mount_options.h"

#include <sys/mount.h>

#include <string_view>

#include "core/linux/mount.h"

namespace berth::native {
namespace {

constexpr std::uint64_t kAtime = MOUNT_ATTR__ATIME;

struct Attribute {
  std::string_view name;
  std::uint64_t set;
  std::uint64_t clear;
};

constexpr Attribute kAttributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, kAtime},
    {"atime", 0, MOUNT_ATTR_NOATIME},
    {"relatime", 0, kAtime},
    {"norelatime", 0, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, kAtime},
    {"nostrictatime", 0, MOUNT_ATTR_STRICTATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

struct Propagation {
  std::string_view name;
  std::uint64_t flag;
};

constexpr Propagation kPropagations[] = {
    {"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE}, {"slave", MS_SLAVE},
    {"rslave", MS_SLAVE},    {"shared", MS_SHARED},    {"rshared", MS_SHARED},
};

constexpr std::string_view kRefused[] = {"unbindable", "runbindable", "idmap", "ridmap"};

bool take_attribute(std::string_view name, std::uint64_t& flags) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name != name) continue;
    flags = (flags & ~attribute.clear) | attribute.set;
    return true;
  }
  return false;
}

bool take_propagation(std::string_view name, std::uint64_t& propagation) {
  for (const Propagation& known : kPropagations) {
    if (known.name != name) continue;
    propagation = known.flag;
    return true;
  }
  return false;
}

bool is_refused(std::string_view option) {
  for (const std::string_view refused : kRefused) {
    if (option == refused) return true;
  }
  return false;
}

}  // namespace

Result<MountOptions> parse_mount_options(const oci::Mount& mount) {
  MountOptions parsed;
  for (const std::string& option : mount.options) {
    const std::string_view name = option;
    if (name == "bind" || name == "rbind" || name == "defaults") continue;
    if (take_attribute(name, parsed.flags)) continue;
    if (take_propagation(name, parsed.propagation)) continue;
    if (name.starts_with('r') && take_attribute(name.substr(1), parsed.recursive_flags)) continue;
    if (mount.type == "bind" || is_refused(name)) {
      return make_error(Errc::invalid_argument, "mounts[" + mount.destination + "].options: `" +
                                                    option + "` is not supported");
    }
    if (!parsed.data.empty()) parsed.data += ',';
    parsed.data += option;
  }
  return parsed;
}

}  // namespace berth::native
