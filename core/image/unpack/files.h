// SPDX-License-Identifier: Apache-2.0
// Operations on single files of a tree that is being unpacked. Names are single parts of a path.
#pragma once

#include <linux/openat2.h>
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/unpack/attributes.h"

namespace berth::image {

// Symbolic links stay in the tree, mounts and magic links are not entered.
constexpr std::uint64_t kResolveInTree = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

// An untrusted name for error texts: control characters as \xNN, shortened.
std::string printable(std::string_view name);

// overlayfs' mark for a removed file (Documentation/filesystems/overlayfs.rst).
bool is_whiteout(const struct stat& status);

// For reading. A symbolic link is not followed: ENOTDIR or ELOOP.
Result<UniqueFd> open_plain_directory(int dirfd, const std::string& name);

// Identifies a file even when its inode number is reused: the filesystem's file handle, or the
// inode number on filesystems without handles. An empty name is `dirfd` itself; links are not
// followed.
Result<std::string> identity_at(int dirfd, const std::string& name);

Status set_xattrs(int fd, const std::string& path, const Attributes& attributes);
// For files that cannot be opened: links, devices, fifos.
Status set_xattrs_at(int dirfd, const std::string& name, const Attributes& attributes);
// Of an open directory, without overlayfs' own.
Result<std::vector<std::pair<std::string, std::string>>> read_xattrs(int fd);

// Owner, mode, xattrs and times of an open directory.
Status set_directory_attributes(int directory, const Attributes& attributes);

// Removes `name` and everything below it, entering no mounts and following no links.
Status remove_tree(int dirfd, const std::string& name);

}  // namespace berth::image
