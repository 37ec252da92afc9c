// SPDX-License-Identifier: Apache-2.0
#include "core/linux/subtree.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

Result<UniqueMount> clone_inside(const UniqueMount& tree, const std::string& path) {
  TRY(const UniqueFd part, open_in_root(tree.get(), path, O_PATH));
  return open_tree_clone(part.get(), "", false);
}

// Runs on a thread of its own. The mount namespace and the attached tree end with that thread; the
// clone remains.
Result<UniqueMount> clone_attached(const UniqueMount& tree, const std::string& path,
                                   const std::string& cover) {
  if (::unshare(CLONE_NEWNS) != 0) return sys_error(errno, "unshare", "mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return sys_error(errno, "mount", "private propagation");
  }
  TRY_(move_mount(tree.get(), AT_FDCWD, cover));
  return clone_inside(tree, path);
}

}  // namespace

// KERNEL 6.15: open_tree can clone a detached mount. Older kernels return EINVAL unless the mount
// is attached in the caller's mount namespace. Proof: tests/core/linux/subtree_test.cc.
Result<UniqueMount> clone_subtree(UniqueMount tree, const std::string& path,
                                  const SubtreeOptions& options) {
  if (!options.attach) {
    Result<UniqueMount> direct = clone_inside(tree, path);
    if (direct.ok() || direct.error().sys_errno != EINVAL) return direct;
  }
  Result<UniqueMount> result = make_error(Errc::internal, "subtree thread did not run");
  std::thread worker([&] { result = clone_attached(tree, path, options.cover); });
  worker.join();
  return result;
}

}  // namespace berth::sys
