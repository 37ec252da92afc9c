// SPDX-License-Identifier: Apache-2.0
#include "cri/container/cgroup_view.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/linux/openat2.h"

namespace berth::cri {

Result<std::string> CgroupViewDirectory::with(const std::vector<plugins::CgroupView>& views) {
  for (const plugins::CgroupView& view : views) {
    if (!names_.contains(view.name)) TRY_(add(view));
  }
  return path_;
}

Status CgroupViewDirectory::add(const plugins::CgroupView& view) {
  TRY_(sys::mkdir_if_missing(AT_FDCWD, path_, 0755));
  TRY_(sys::mkdir_if_missing(AT_FDCWD, path_ + "/" + view.name, 0755));
  for (const std::string& alias : view.aliases) {
    const std::string link = path_ + "/" + alias;
    if (::symlink(view.name.c_str(), link.c_str()) != 0 && errno != EEXIST) {
      return sys_error(errno, "symlink", link);
    }
  }
  names_.insert(view.name);
  return {};
}

}  // namespace berth::cri
