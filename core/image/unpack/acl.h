// SPDX-License-Identifier: Apache-2.0
// POSIX access control lists that a tar has as text (SCHILY.acl.access and .default, written by
// star and GNU tar), converted to the binary form of the kernel's xattr. Container tools write the
// xattr itself (SCHILY.xattr.system.posix_acl_access), which needs no conversion.
#pragma once

#include "core/image/unpack/tree.h"

struct archive_entry;

namespace berth::image {

// Adds system.posix_acl_access and system.posix_acl_default if the entry has such a list. A list
// that names a user or group without its id is left out: the tar does not have the id.
void add_acl_xattrs(archive_entry* entry, Attributes& attributes);

}  // namespace berth::image
