// SPDX-License-Identifier: Apache-2.0
// What is to be done with directories when all entries of a layer are written: until then they are
// 0700 and root's, without xattrs, because everything that is made in them changes their times, a
// set-group-id bit or a default ACL would be handed down, and a mode may forbid writing.
//
// Memory is bounded whatever the layer says: beyond 256 KiB, what is remembered goes into a file
// without a name on the layer's own filesystem. The directories implied by others' names are kept
// in memory, and limited to 2 MiB, which is some ten thousand of them.
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

  // `name` in the open directory `parent` is the directory that entries call `path`.
  Status add(int parent, const std::string& name, const std::string& path,
             const Attributes& attributes);
  // Made because an entry below it needed it. resource_exhausted: too many.
  Status add_implied(int parent, const std::string& name, const std::string& path);
  // It is no longer what the layers below have under its name. O_PATH suffices.
  Status forget_implied(int directory);

  // Sets what was remembered, in the order it was added, of each directory that is still there.
  // Returns the implied ones that have no entry, parents first.
  Result<std::vector<std::string>> finish();

 private:
  void drop_implied(const std::string& identity);
  Status spill();
  Status apply_all(std::string_view records);
  Status apply(std::string_view record);
  Result<UniqueFd> open_if_still(const std::string& path, std::string_view identity) const;

  int root_;
  std::string records_;  // each with its size before it
  UniqueFd spilled_;
  std::vector<std::size_t> spilled_sizes_;
  std::unordered_map<std::string, std::string> implied_;  // identity to path
  std::size_t implied_bytes_ = 0;
};

}  // namespace berth::image
