// SPDX-License-Identifier: Apache-2.0
#include "cri/container/image_volumes.h"

#include <fcntl.h>

#include <filesystem>
#include <utility>

#include "core/image/archive/artifact_files.h"
#include "core/linux/openat2.h"
#include "core/linux/overlay_mount.h"
#include "core/linux/subtree.h"
#include "core/ring/offload.h"
#include "cri/container/rootfs.h"
#include "cri/field.h"
#include "cri/image/find.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::string_view kKeyMark = "-volume-";

std::string field_of(int index) {
  return "config.mounts[" + std::to_string(index) + "]";
}

// Directories of a container's volumes that are made of artifacts' files, by index.
std::string artifact_directories(const store::Layout& layout, const std::string& container_id) {
  return layout.artifact_volumes() + "/" + container_id;
}

std::string artifact_directory(const store::Layout& layout, const std::string& container_id,
                               std::uint32_t index) {
  return artifact_directories(layout, container_id) + "/" + std::to_string(index);
}

Status make_directory(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return sys_error(failed.value(), "mkdir", path);
  return {};
}

// The second layer that overlayfs wants where an image has one.
std::string empty_directory(const store::Layout& layout) {
  return layout.artifact_volumes() + "/empty";
}

Result<sys::UniqueMount> mount_tree(const Node& node, std::vector<std::string> directories) {
  TRY_(make_directory(empty_directory(node.layout)));
  sys::OverlayLayers layers;
  layers.lowerdirs = std::move(directories);
  layers.lowerdirs.push_back(empty_directory(node.layout));
  return sys::mount_overlay(node.mount_features, layers, MOUNT_ATTR_RDONLY);
}

Result<sys::UniqueMount> part_of(const Node& node, sys::UniqueMount tree, int index,
                                 const std::string& sub_path) {
  if (sub_path.empty()) return tree;
  sys::SubtreeOptions options;
  options.cover = empty_directory(node.layout);
  Result<sys::UniqueMount> part = sys::clone_subtree(std::move(tree), sub_path, options);
  if (part.ok()) return part;
  const int failed = part.error().sys_errno;
  if (failed == ENOENT || failed == ENOTDIR || failed == ELOOP) {
    return invalid_field(field_of(index) + ".image_sub_path",
                         "`" + shown(sub_path) + "` does not exist in the image");
  }
  return std::move(part).error().with(field_of(index) + ".image_sub_path");
}

Status make_artifact_directory(const Node& node, const image::CachedImage& artifact,
                               const std::string& dir) {
  TRY_(make_directory(dir));
  return image::link_artifact_files(node.content, artifact, dir);
}

Task<void> prepare_one(Node& node, const records::ContainerRecord& record,
                       const state::v1::ImageVolume& volume) {
  if (!volume.snapshot().empty()) {
    const image::ImageEntry entry =
        co_await node.images.resolve(image::named_by_id(volume.image_id()));
    const std::vector<std::string>& chain = entry.image->chain_ids;
    const std::string parent = chain.empty() ? std::string() : chain.back();
    const std::vector<plugins::SnapshotMount> made =
        co_await node.snapshotter.view(volume.snapshot(), parent);
    static_cast<void>(made);
    co_return;
  }
  const image::ImageEntry entry =
      co_await node.images.resolve(image::named_by_id(volume.image_id()));
  const std::string dir = artifact_directory(node.layout, record.id(), volume.mount_index());
  const Node& parts = node;
  auto work = [&parts, &entry, &dir]() {
    return make_artifact_directory(parts, *entry.image, dir);
  };
  Result<void> made = co_await offload(node.ring, std::move(work)).result();
  const std::string field = field_of(static_cast<int>(volume.mount_index()));
  if (!made.ok()) co_await fail(std::move(made).error().with(field + ".image"));
}

Task<sys::UniqueMount> mount_one(Node& node, const records::ContainerRecord& record,
                                 const state::v1::ImageVolume& volume) {
  std::vector<std::string> directories;
  if (volume.snapshot().empty()) {
    directories = {artifact_directory(node.layout, record.id(), volume.mount_index())};
  } else {
    const std::vector<plugins::SnapshotMount> mounts =
        co_await node.snapshotter.mounts(volume.snapshot());
    directories = co_await directories_of(mounts);
  }
  const int index = static_cast<int>(volume.mount_index());
  const std::string& sub_path = record.config().mounts(index).image_sub_path();
  const Node& parts = node;
  auto work = [&]() -> Result<sys::UniqueMount> {
    TRY(sys::UniqueMount tree, mount_tree(parts, std::move(directories)));
    return part_of(parts, std::move(tree), index, sub_path);
  };
  sys::UniqueMount mounted = co_await offload(node.ring, std::move(work));
  co_return mounted;
}

bool has_artifact(const records::ContainerRecord& record) {
  for (const state::v1::ImageVolume& volume : record.image_volumes()) {
    if (volume.snapshot().empty()) return true;
  }
  return false;
}

}  // namespace

std::string image_volume_key(const std::string& container_id, int mount_index) {
  return container_id + std::string(kKeyMark) + std::to_string(mount_index);
}

std::string container_of_key(const std::string& snapshot_key) {
  return snapshot_key.substr(0, snapshot_key.find(kKeyMark));
}

Task<void> resolve_image_volumes(Node& node, records::ContainerRecord& record) {
  for (int i = 0; i < record.config().mounts_size(); ++i) {
    v1::Mount& mount = *record.mutable_config()->mutable_mounts(i);
    if (mount.image().image().empty()) continue;
    Result<image::ImageEntry> entry = co_await need_image(node, mount.image().image()).result();
    if (!entry.ok()) co_await fail(std::move(entry).error().with(field_of(i) + ".image"));
    state::v1::ImageVolume& volume = *record.add_image_volumes();
    volume.set_mount_index(static_cast<std::uint32_t>(i));
    volume.set_image_id(entry->image->id);
    if (!entry->image->is_artifact()) volume.set_snapshot(image_volume_key(record.id(), i));
    // The status tells a kubelet's garbage collection which image that was.
    mount.mutable_image()->set_image_ref(entry->image->id);
  }
}

Task<void> prepare_image_volumes(Node& node, const records::ContainerRecord& record) {
  for (const state::v1::ImageVolume& volume : record.image_volumes()) {
    co_await prepare_one(node, record, volume);
    const int index = static_cast<int>(volume.mount_index());
    if (record.config().mounts(index).image_sub_path().empty()) continue;
    const sys::UniqueMount tried = co_await mount_one(node, record, volume);
    static_cast<void>(tried);
  }
}

Task<ImageTrees> mount_image_volumes(Node& node, const records::ContainerRecord& record) {
  ImageTrees trees;
  for (const state::v1::ImageVolume& volume : record.image_volumes()) {
    sys::UniqueMount tree = co_await mount_one(node, record, volume);
    trees[static_cast<int>(volume.mount_index())] = std::move(tree);
  }
  co_return trees;
}

Task<void> remove_image_volumes(Node& node, const records::ContainerRecord& record) {
  for (const state::v1::ImageVolume& volume : record.image_volumes()) {
    if (volume.snapshot().empty()) continue;
    Result<void> removed = co_await node.snapshotter.remove(volume.snapshot()).result();
    if (!removed.ok() && !removed.error().is(Errc::not_found)) {
      co_await fail(std::move(removed).error());
    }
  }
  if (!has_artifact(record)) co_return;
  const std::string dir = artifact_directories(node.layout, record.id());
  auto work = [dir]() -> Result<void> {
    std::error_code failed;
    std::filesystem::remove_all(dir, failed);
    if (failed) return sys_error(failed.value(), "remove", dir);
    return {};
  };
  co_await offload(node.ring, std::move(work));
}

Result<std::vector<std::string>> sweep_artifact_volumes(const Node& node) {
  std::vector<std::string> strangers;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(node.layout.artifact_volumes(), failed), end;
       !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (name != "empty" && node.pods.container(name) == nullptr) strangers.push_back(name);
  }
  for (const std::string& name : strangers) {
    std::filesystem::remove_all(artifact_directories(node.layout, name), failed);
    if (failed) return sys_error(failed.value(), "remove", artifact_directories(node.layout, name));
  }
  return strangers;
}

}  // namespace berth::cri
