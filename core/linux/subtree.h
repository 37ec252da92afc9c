// SPDX-License-Identifier: Apache-2.0
// Makes a detached mount from a part of another detached mount.
#pragma once

#include <string>

#include "core/linux/mount.h"

namespace berth::sys {

struct SubtreeOptions {
  // Any directory of the caller's mount namespace. The tree is attached to it in a private mount
  // namespace if the kernel cannot clone a detached mount.
  std::string cover = "/";
  bool attach = false;  // always attach the tree, as on older kernels (for tests)
};

// Clones the directory or file at `path` inside `tree`. `path` is untrusted: links and ".." are
// resolved with the tree as the root. Errors of the resolution: ENOENT, ENOTDIR, ELOOP. `tree` is
// consumed.
Result<UniqueMount> clone_subtree(UniqueMount tree, const std::string& path,
                                  const SubtreeOptions& options = {});

}  // namespace berth::sys
