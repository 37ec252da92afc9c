// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/linux/openat2.h"

namespace berth::snapshotter {
namespace {

constexpr std::uint64_t kStatBlockBytes = 512;  // stat(2): st_blocks, whatever the filesystem's own

struct Walk {
  int root;
  std::vector<std::string> pending;  // directories below root, still to be read
  std::set<ino_t> seen;              // files with several names
  plugins::SnapshotUsage usage;

  void count(const struct stat& entry) {
    if (!S_ISDIR(entry.st_mode) && entry.st_nlink > 1 && !seen.insert(entry.st_ino).second) return;
    usage.bytes += static_cast<std::uint64_t>(entry.st_blocks) * kStatBlockBytes;
    ++usage.inodes;
  }
};

void read_directory(int dirfd, const std::string& path, Walk& walk) {
  DIR* const directory = ::fdopendir(dirfd);
  if (directory == nullptr) {
    ::close(dirfd);
    return;
  }
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    struct stat found {};
    if (name == "." || name == ".." ||
        ::fstatat(::dirfd(directory), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // removed since it was listed
    }
    walk.count(found);
    if (S_ISDIR(found.st_mode)) walk.pending.push_back(path + "/" + entry->d_name);
  }
  ::closedir(directory);
}

}  // namespace

Result<plugins::SnapshotUsage> tree_usage(int dirfd) {
  struct stat root {};
  if (::fstat(dirfd, &root) != 0) return sys_error(errno, "fstat", "snapshot");
  Walk walk{dirfd, {"."}, {}, {}};
  walk.count(root);
  while (!walk.pending.empty()) {
    const std::string path = std::move(walk.pending.back());
    walk.pending.pop_back();
    // The container may replace the directory by a symbolic link, which is resolved below root or
    // not at all. A path longer than PATH_MAX is not counted.
    Result<UniqueFd> opened =
        sys::open_in_root(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    if (opened.ok()) read_directory(opened->release(), path, walk);
  }
  return walk.usage;
}

}  // namespace berth::snapshotter
