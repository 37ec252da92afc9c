// SPDX-License-Identifier: Apache-2.0
// CRI: "ImageFSInfo returns information of the filesystem that is used to store images." Used bytes
// are those of our own trees: compressed content, and snapshots by the snapshotter's own account.
#include <sys/stat.h>

#include <filesystem>

#include "core/base/units.h"
#include "core/ring/offload.h"
#include "cri/image/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

struct TreeUsage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// Disk blocks and inodes below `root`. What vanishes while we look is not counted.
TreeUsage usage_of(const std::string& root) {
  namespace fs = std::filesystem;
  TreeUsage usage;
  std::error_code failed;
  fs::recursive_directory_iterator entry(root, fs::directory_options::skip_permission_denied,
                                         failed);
  for (const fs::recursive_directory_iterator end; !failed && entry != end;
       entry.increment(failed)) {
    struct stat status {};
    if (::lstat(entry->path().c_str(), &status) != 0) continue;
    usage.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    usage.inodes += 1;
  }
  return usage;
}

void add_filesystem(v1::FilesystemUsage* to, const std::string& path, TreeUsage usage) {
  to->set_timestamp(realtime_now_ns());
  to->mutable_fs_id()->set_mountpoint(path);
  to->mutable_used_bytes()->set_value(usage.bytes);
  to->mutable_inodes_used()->set_value(usage.inodes);
}

}  // namespace

Task<v1::ImageFsInfoResponse> image_fs_info(Node& node, const v1::ImageFsInfoRequest&) {
  const std::string root = node.layout.root_dir();
  const std::string snapshots = node.layout.snapshots();
  auto measure_root = [root]() -> Result<TreeUsage> { return usage_of(root); };
  const TreeUsage images = co_await offload(node.ring, std::move(measure_root));
  auto measure_snapshots = [snapshots]() -> Result<TreeUsage> { return usage_of(snapshots); };
  const TreeUsage containers = co_await offload(node.ring, std::move(measure_snapshots));
  v1::ImageFsInfoResponse response;
  add_filesystem(response.add_image_filesystems(), root, images);
  add_filesystem(response.add_container_filesystems(), snapshots, containers);
  co_return response;
}

}  // namespace berth::cri
