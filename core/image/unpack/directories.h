// SPDX-License-Identifier: Apache-2.0
// The attributes of directories, set when all entries of a layer are written. Until then
// directories are root's, 0700 and without xattrs: each new entry changes their times, new files
// would inherit a set-group-id bit or a default ACL, and a mode may forbid writing.
//
// Memory is bounded for every layer: above 256 KiB the list goes to an unnamed file on the layer's
// own filesystem. Implied directories (without an entry, needed by the name of another) are kept in
// memory and limited to 2 MiB, some ten thousand directories.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/unpack/attributes.h"

namespace berth::image {

class DirectoryList {
 public:
  // `root` is borrowed.
  explicit DirectoryList(int root) : root_(root) {}

  // The directory is `name` in the open directory `parent`; `path` is its path in the tar.
  Status add(int parent, const std::string& name, const std::string& path,
             const Attributes& attributes);
  // It was created because an entry below it needs it. resource_exhausted: too many.
  Status add_implied(int parent, const std::string& name, const std::string& path);
  // It no longer merges with a directory of the layers below. `directory` may be O_PATH.
  Status forget_implied(int directory);

  // Sets the attributes of each directory that still exists, in the order of add(). Returns the
  // implied directories, parents first.
  Result<std::vector<std::string>> finish();

 private:
  void drop_implied(const std::string& identity);
  Status spill();
  Status apply_all(std::string_view records);
  Status apply(std::string_view record);
  Result<UniqueFd> open_if_still(const std::string& path, std::string_view identity) const;

  int root_;
  std::string records_;  // each after its size
  UniqueFd spilled_;
  std::vector<std::size_t> spilled_sizes_;
  std::unordered_map<std::string, std::string> implied_;  // identity to path
  std::size_t implied_bytes_ = 0;
};

}  // namespace berth::image
