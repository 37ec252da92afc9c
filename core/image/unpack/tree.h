// SPDX-License-Identifier: Apache-2.0
// Creates the files of a tree below one directory and nowhere else. Paths are relative to it,
// without "..", empty or "." parts (clean_path). Parents are opened by openat2 with
// RESOLVE_IN_ROOT: a symbolic link in the tree leads where it leads inside a container. The last
// part of a path is never followed.
//
// A new entry replaces an existing one of that name, except that a directory over a directory keeps
// its contents. Missing parents are created, 0755 and root's, and finish() lists them. finish()
// also sets the attributes of directories.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/unpack/attributes.h"
#include "core/image/unpack/directories.h"
#include "core/image/unpack/unpack.h"

namespace berth::image {

// "/a//./b/" becomes "a/b", "./" becomes "", and "a/x/../b" becomes "a/b" whatever a/x is, as in
// docker, containerd and podman. invalid_argument: the path leads above the root. ENAMETOOLONG: a
// part or the path is too long for the kernel.
Result<std::string> clean_path(std::string_view raw);

// A new empty file, open for writing, and which attributes are still to be set.
struct NewFile {
  UniqueFd file;
  bool needs_owner = true;
  bool needs_mode = true;
};

class UnpackTree {
 public:
  // `root` is borrowed.
  UnpackTree(int root, LayerPlace place) : root_(root), place_(place), directories_(root) {}

  // Call once, first.
  Status start();

  // `path` may be empty: the root itself.
  Status directory(const std::string& path, const Attributes& attributes);
  // The caller writes the contents and the remaining attributes.
  Result<NewFile> create_file(const std::string& path, const Attributes& attributes);
  Status symlink(const std::string& path, const std::string& target, const Attributes& attributes);
  // not_found when `existing` is not in this tree.
  Status hard_link(const std::string& path, const std::string& existing);
  // `type` is S_IFCHR, S_IFBLK or S_IFIFO.
  Status node(const std::string& path, mode_t type, dev_t device, const Attributes& attributes);
  // Removes `path` of the layers below.
  Status whiteout(const std::string& path);
  // Hides the contents of the directory `path` in the layers below.
  Status opaque(const std::string& path);

  // The implied directories, parents first.
  Result<std::vector<std::string>> finish();

 private:
  // Where an entry goes: an open parent directory (borrowed, valid until the next call) and a name.
  struct Place {
    int parent;
    std::string name;
  };
  // Owner and mode of a new file, found by creating one.
  struct Birth {
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
    mode_t mode_kept = 0;  // the bits that the umask keeps
  };

  struct Walk {
    UniqueFd at;
    std::string path;               // of `at`, without links
    std::vector<std::string> todo;  // the next part last
    int links_left = 40;            // the kernel's limit (path_resolution(7))
  };

  bool born_with_owner(const Attributes& attributes) const;
  bool born_with_mode(const Attributes& attributes) const;
  Status find_birth();
  Result<Place> place(const std::string& path);
  Result<UniqueFd> open_directory(const std::string& path);
  Result<UniqueFd> make_parents(const std::string& path);
  Status go_back_to(Walk& walk, std::string path);
  Status step_into(Walk& walk, const std::string& part);
  Status follow(Walk& walk, int link, const std::string& path);
  Status make_missing(int parent, const std::string& name, const std::string& path,
                      bool instead_of_whiteout);
  Status remove_existing(const Place& place);
  Status make_directory(const Place& place);
  Status set_node_attributes(const Place& place, mode_t type, const Attributes& attributes);
  Status hide_below(int directory, const std::string& path);
  Status set_opaque(int directory, const std::string& path);

  int root_;
  LayerPlace place_;
  Birth birth_;
  // The parent of the last entry, since most entries share it with the one before.
  std::string parent_path_;
  UniqueFd parent_;
  bool parent_is_stale_ = false;  // after a removal the path may lead elsewhere
  DirectoryList directories_;
};

}  // namespace berth::image
