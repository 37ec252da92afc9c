// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <sys/stat.h>

#include <string>

#include "core/linux/cgroup_fs.h"

namespace berth::sys {

// mkdir of a cgroup below `parent`; an existing one is opened.
inline Result<Cgroup> create_child(const Cgroup& parent, const std::string& name) {
  if (::mkdirat(parent.fd(), name.c_str(), 0755) != 0 && errno != EEXIST) {
    return sys_error(errno, "mkdir", parent.name() + "/" + name);
  }
  return parent.open_child(name);
}

}  // namespace berth::sys
