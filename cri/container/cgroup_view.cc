// SPDX-License-Identifier: Apache-2.0
#include "cri/container/cgroup_view.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "core/linux/immutable.h"
#include "core/linux/openat2.h"

namespace berth::cri {

Result<sys::UniqueMount> CgroupViewTree::with(const std::vector<plugins::CgroupView>& views) {
  if (views.empty()) return sys::UniqueMount();
  bool complete = shared_.valid();
  for (const plugins::CgroupView& view : views) {
    complete = !names_.insert_or_assign(view.name, view.aliases).second && complete;
  }
  if (!clones_detached_) return build();
  // A name that is new means another tree; containers that run keep the one they have.
  if (!complete) {
    TRY(shared_, build());
  }
  return sys::open_tree_clone(shared_.get(), ".", false);
}

Result<sys::UniqueMount> CgroupViewTree::build() const {
  constexpr std::uint64_t kFlags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  TRY(sys::UniqueMount tree, sys::mount_filesystem("tmpfs", "mode=755,size=4k", kFlags));
  for (const auto& [name, aliases] : names_) {
    if (::mkdirat(tree.get(), name.c_str(), 0755) != 0) return sys_error(errno, "mkdir", name);
    for (const std::string& alias : aliases) {
      if (::symlinkat(name.c_str(), tree.get(), alias.c_str()) != 0) {
        return sys_error(errno, "symlink", alias);
      }
    }
    TRY(const UniqueFd directory, sys::openat(tree.get(), name, O_RDONLY | O_DIRECTORY));
    TRY_(sys::make_immutable(directory.get(), name));
  }
  TRY(const UniqueFd root, sys::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY));
  TRY_(sys::make_immutable(root.get(), "/sys/fs/cgroup"));
  return tree;
}

}  // namespace berth::cri
