// SPDX-License-Identifier: Apache-2.0
// FS_IMMUTABLE_FL (ioctl_iflags(2)) on a file or directory: without CAP_LINUX_IMMUTABLE, a process
// cannot change its contents, entries, mode, owner or attributes.
//
// KERNEL 6.0: tmpfs supports the flag. It stays in effect when a container with CAP_SYS_ADMIN
// remounts the filesystem read-write. Proof: tests/kernel/immutable_tmpfs_test.cc.
#pragma once

#include <string>

#include "core/base/result.h"

namespace berth::sys {

// `fd` is open for reading, not O_PATH; `name` is for the error.
Status make_immutable(int fd, const std::string& name);

}  // namespace berth::sys
