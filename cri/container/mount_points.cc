// SPDX-License-Identifier: Apache-2.0
#include "cri/container/mount_points.h"

#include <fcntl.h>

#include "core/linux/openat2.h"

namespace berth::cri {

Status make_mount_points(const std::string& dir) {
  TRY_(sys::mkdir_if_missing(AT_FDCWD, dir, 0755));
  TRY(const UniqueFd root, sys::openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY));
  for (const char* path : {"proc", "sys", "dev", "etc"}) {
    TRY_(sys::mkdir_if_missing(root.get(), path, 0755));
  }
  for (const char* path : {"etc/hosts", "etc/hostname", "etc/resolv.conf"}) {
    TRY([[maybe_unused]] const UniqueFd made,
        sys::openat(root.get(), path, O_RDONLY | O_CREAT, 0644));
  }
  return {};
}

}  // namespace berth::cri
