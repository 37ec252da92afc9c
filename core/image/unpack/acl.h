// SPDX-License-Identifier: Apache-2.0
// POSIX access control lists that a tar carries as text (SCHILY.acl.access and .default, as star
// and GNU tar write them), in the binary form that the kernel takes as an xattr. Container tools
// write that xattr itself instead (SCHILY.xattr.system.posix_acl_access), which needs nothing of
// this.
#pragma once

#include "core/image/unpack/tree.h"

struct archive_entry;

namespace berth::image {

// Adds system.posix_acl_access and system.posix_acl_default where the entry has such a list. One
// that names a user or group without a number is left out: whose number it was is not in the tar.
void add_acl_xattrs(archive_entry* entry, Attributes& attributes);

}  // namespace berth::image
