// SPDX-License-Identifier: Apache-2.0
// Removes unused images. An image is in use if it is pinned, or if it is the root filesystem or a
// volume of a container.
#include <set>

#include "cri/admin/calls.h"
#include "cri/image/calls.h"
#include "cri/state/records.h"

namespace berth::cri::admin {

namespace wire = berth::v1;

namespace {

Result<std::set<std::string>> images_in_use(Node& node) {
  std::set<std::string> used;
  TRY(const std::vector<records::ContainerRecord> containers,
      records::all_containers(node.state, node.log));
  for (const records::ContainerRecord& record : containers) {
    used.insert(record.image_id());
    for (const state::v1::ImageVolume& volume : record.image_volumes()) {
      used.insert(volume.image_id());
    }
  }
  return used;
}

Task<std::uint64_t> image_bytes(Node& node) {
  const runtime::v1::ImageFsInfoRequest nothing;
  const runtime::v1::ImageFsInfoResponse info = co_await image_fs_info(node, nothing);
  std::uint64_t bytes = 0;
  for (const runtime::v1::FilesystemUsage& filesystem : info.image_filesystems()) {
    bytes += filesystem.used_bytes().value();
  }
  co_return bytes;
}

void add_line(wire::PruneResponse& response, const image::ImageEntry& entry) {
  wire::PrunedImage* line = response.add_images();
  line->set_image_id(entry.image->id);
  line->set_size(entry.image->size);
  const std::vector<std::string>& names =
      entry.repo_tags.empty() ? entry.repo_digests : entry.repo_tags;
  for (const std::string& name : names) line->add_names(name);
}

}  // namespace

Task<wire::PruneResponse> prune(Node& node, const wire::PruneRequest& request) {
  wire::PruneResponse response;
  const std::uint64_t before = co_await image_bytes(node);
  const std::vector<image::ImageEntry> entries = node.images.list();
  for (const image::ImageEntry& entry : entries) {
    if (entry.pinned || (!request.all() && !entry.repo_tags.empty())) continue;
    // Read again for each image: a container may have been created during the previous removal.
    const std::set<std::string> used = co_await images_in_use(node);
    if (used.count(entry.image->id) != 0) continue;
    if (!request.dry_run()) {
      const bool removed = co_await node.puller.remove(image::named_by_id(entry.image->id));
      if (!removed) continue;
    }
    add_line(response, entry);
  }
  const std::uint64_t after = co_await image_bytes(node);
  response.set_freed_bytes(before > after ? before - after : 0);
  co_return response;
}

}  // namespace berth::cri::admin
