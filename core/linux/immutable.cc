// SPDX-License-Identifier: Apache-2.0
#include "core/linux/immutable.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace berth::sys {

Status make_immutable(int fd, const std::string& name) {
  int flags = FS_IMMUTABLE_FL;
  if (::ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0) return sys_error(errno, "FS_IOC_SETFLAGS", name);
  return {};
}

}  // namespace berth::sys
