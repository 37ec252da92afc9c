// SPDX-License-Identifier: Apache-2.0
// A part of a detached mount as a detached mount of its own.
#pragma once

#include <string>

#include "core/linux/mount.h"

namespace berth::sys {

struct SubtreeOptions {
  // Any directory of the caller's mount namespace; used where the kernel needs a place.
  std::string cover = "/";
  bool attach = false;  // do not try the direct way (for tests)
};

// Clones what `path` names inside `tree`, a directory or a file. `path` is a stranger's: links and
// ".." are resolved as if the tree were everything there is. ENOENT, ENOTDIR, ELOOP as the walk
// meets them. `tree` may be spent afterwards.
Result<UniqueMount> clone_subtree(UniqueMount tree, const std::string& path,
                                  const SubtreeOptions& options = {});

}  // namespace berth::sys
