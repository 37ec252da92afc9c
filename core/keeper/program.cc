// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include <utility>

#include "core/linux/mount.h"

namespace berth::keeper {

Result<UniqueFd> open_program(const std::string& path) {
  UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return sys_error(errno, "open_tree", path);
  constexpr std::uint64_t kFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (sys::mount_setattr_raw(tree.get(), kFlags, 0, MS_PRIVATE, false) != 0) {
    return sys_error(errno, "mount_setattr", path);
  }
  return tree;
}

// KERNEL 5.12: mount_setattr(2) reaches a detached mount through its descriptor, and noexec holds
// for later execs only. Proof: tests/core/keeper/program_test.cc.
Status forbid_exec(UniqueFd program) {
  if (sys::mount_setattr_raw(program.get(), MOUNT_ATTR_NOEXEC, 0, 0, false) != 0) {
    return sys_error(errno, "mount_setattr", "the keeper's program");
  }
  return {};
}

}  // namespace berth::keeper
