// SPDX-License-Identifier: Apache-2.0
// CRI: "ImageFSInfo returns information of the filesystem that is used to store images." Usage of
// images covers blobs, records and layers; usage of containers covers their writable layers. Bytes
// are counted in allocated disk blocks.
//
// A kubelet compares the two mountpoints as text: if they are equal, images and containers share a
// filesystem; otherwise it monitors two.
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <utility>

#include "core/base/units.h"
#include "core/ring/offload.h"
#include "cri/image/calls.h"
#include "cri/image/usage.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

struct Measured {
  plugins::SnapshotUsage metadata;  // blobs and the files of the stores
  bool one_filesystem = true;
};

// Adds the disk blocks and inodes of the tree at `root`. Files that are removed during the walk are
// not counted; a file with several hard links is counted once.
void measure(const std::string& root, std::set<std::pair<dev_t, ino_t>>& seen,
             plugins::SnapshotUsage& into) {
  namespace fs = std::filesystem;
  const auto count = [&](const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    if (status.st_nlink > 1 && !S_ISDIR(status.st_mode) &&
        !seen.emplace(status.st_dev, status.st_ino).second) {
      return;
    }
    into.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    into.inodes += 1;
  };
  count(root);
  std::error_code failed;
  fs::recursive_directory_iterator entry(root, fs::directory_options::skip_permission_denied,
                                         failed);
  for (const fs::recursive_directory_iterator end; !failed && entry != end;
       entry.increment(failed)) {
    count(entry->path().string());
  }
}

Measured measure_stores(const store::Layout& layout) {
  Measured measured;
  std::set<std::pair<dev_t, ino_t>> seen;
  measure(layout.content(), seen, measured.metadata);
  measure(layout.images_store(), seen, measured.metadata);
  measure(layout.artifact_volumes(), seen, measured.metadata);
  struct stat root {};
  struct stat snapshots {};
  if (::stat(layout.root_dir().c_str(), &root) == 0 &&
      ::stat(layout.snapshots().c_str(), &snapshots) == 0) {
    measured.one_filesystem = root.st_dev == snapshots.st_dev;
  }
  return measured;
}

void add_filesystem(v1::FilesystemUsage* to, const std::string& path,
                    const plugins::SnapshotUsage& usage) {
  to->set_timestamp(realtime_now_ns());
  to->mutable_fs_id()->set_mountpoint(path);
  to->mutable_used_bytes()->set_value(usage.bytes);
  to->mutable_inodes_used()->set_value(usage.inodes);
}

}  // namespace

Task<v1::ImageFsInfoResponse> image_fs_info(Node& node, const v1::ImageFsInfoRequest&) {
  const SnapshotTotals totals = co_await snapshot_totals(node);
  const store::Layout& layout = node.layout;
  auto work = [&layout]() -> Result<Measured> { return measure_stores(layout); };
  const Measured stores = co_await offload(node.ring, std::move(work));
  v1::ImageFsInfoResponse response;
  if (stores.one_filesystem) {
    plugins::SnapshotUsage images = stores.metadata;
    images.bytes += totals.layers.bytes;
    images.inodes += totals.layers.inodes;
    add_filesystem(response.add_image_filesystems(), layout.root_dir(), images);
    add_filesystem(response.add_container_filesystems(), layout.root_dir(), totals.containers);
  } else {
    // A kubelet reads the first entry only, so the layers, the largest part, come first.
    add_filesystem(response.add_image_filesystems(), layout.snapshots(), totals.layers);
    add_filesystem(response.add_image_filesystems(), layout.root_dir(), stores.metadata);
    add_filesystem(response.add_container_filesystems(), layout.snapshots(), totals.containers);
  }
  co_return response;
}

}  // namespace berth::cri
