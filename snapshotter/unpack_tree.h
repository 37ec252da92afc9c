// SPDX-License-Identifier: Apache-2.0
// A file tree that is being written below one directory and nowhere else. Paths are relative to it,
// without
// "..", empty or "." parts (clean_path). Parents are opened by openat2 with RESOLVE_IN_ROOT: a
// symbolic link in the tree leads where it would lead inside a container. The last part of a path
// is never followed.
//
// Whoever writes an entry that is there already replaces it, except that a directory over a
// directory keeps its contents. Missing parents are made, 0755 and root's, and finish() lists them.
// Modes and times of directories are set by finish(), because writing into them changes both.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "snapshotter/unpack.h"

namespace berth::snapshotter {

struct Attributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  // 07777
  timespec access{};
  timespec modification{};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// "/a//./b/" becomes "a/b", "./" becomes ""; a part ".." is invalid_argument.
Result<std::string> clean_path(std::string_view raw);

class UnpackTree {
 public:
  // `root` is borrowed.
  UnpackTree(int root, LayerPlace place) : root_(root), place_(place) {}

  // Call once, first.
  Status start();

  // `path` may be empty: the root itself.
  Status directory(const std::string& path, const Attributes& attributes);
  // An empty file, open for writing; finish_file when its contents are written.
  Result<UniqueFd> create_file(const std::string& path);
  Status finish_file(const UniqueFd& file, const std::string& path, const Attributes& attributes);
  Status symlink(const std::string& path, const std::string& target, const Attributes& attributes);
  // not_found when `existing` is not in this tree.
  Status hard_link(const std::string& path, const std::string& existing);
  // `type` is S_IFCHR, S_IFBLK or S_IFIFO.
  Status node(const std::string& path, mode_t type, dev_t device, const Attributes& attributes);
  // `path` of the layers below is gone.
  Status whiteout(const std::string& path);
  // Nothing of the directory `path` shows from the layers below.
  Status opaque(const std::string& path);

  // The directories that are there without an entry of their own, parents first.
  Result<std::vector<std::string>> finish();

 private:
  // Where an entry goes: an open parent directory (borrowed, valid until the next call) and a name.
  struct Place {
    int parent;
    std::string name;
  };
  struct PendingDirectory {
    std::string path;
    mode_t mode;
    timespec access;
    timespec modification;
  };

  Result<Place> place(const std::string& path);
  Result<UniqueFd> open_directory(const std::string& path);
  Result<std::string> make_parents(const std::string& path);
  Result<std::string> step_into(std::string done, const std::string& part,
                                std::vector<std::string>& todo, int& links_left);
  Status make_missing(const std::string& path);
  Status replace_whiteout(const std::string& path);
  Status remove_existing(const Place& place);
  Status make_directory(const Place& place);
  Status set_node_attributes(const Place& place, mode_t type, const Attributes& attributes);
  Status remember(int directory, const std::string& path, const Attributes& attributes);
  Status remember_implied(int directory, const std::string& path);
  Result<UniqueFd> open_if_still(const std::string& path, ino_t inode);
  Result<std::vector<std::string>> list_implied();
  Status hide_below(int directory, const std::string& path);
  Status set_opaque(int directory, const std::string& path);

  int root_;
  LayerPlace place_;
  // The parent of the latest entry: most entries share it with the one before.
  std::string parent_path_;
  UniqueFd parent_;
  // By inode, as all is on one filesystem: a path may meanwhile belong to another directory.
  std::unordered_map<ino_t, PendingDirectory> pending_;
  std::unordered_map<ino_t, std::string> implied_;
};

}  // namespace berth::snapshotter
