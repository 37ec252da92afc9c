// SPDX-License-Identifier: Apache-2.0
// Mounts of a request whose `image` is set: the container sees the unpacked image, or an artifact's
// files, read-only at container_path.
//
//   resolve (before the record) --> prepare (Create) --> mount (Start, again and again) --> remove
//
// The container owns the parts of its volumes: a view of the image's layers in the snapshotter, and
// for an artifact a directory of hard links to its blobs. So the removal of an image takes nothing
// away from a container, and after a restart of the agent the record names every part.
//
// The tree is an overlay without an upper layer: also a privileged container cannot remount it
// writable, because the filesystem itself is not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/linux/mount.h"
#include "core/task/task.h"
#include "cri/node.h"
#include "cri/state/records.h"

namespace berth::cri {

// Detached trees by the index of their mount in config.mounts.
using ImageTrees = std::map<int, sys::UniqueMount>;

// The snapshot key of a container's volume, and the container of such a key (or of any other key).
std::string image_volume_key(const std::string& container_id, int mount_index);
std::string container_of_key(const std::string& snapshot_key);

// Finds the images and writes them into record.image_volumes. Errors of need_image, with the mount.
// The record's id is set.
Task<void> resolve_image_volumes(Node& node, records::ContainerRecord& record);
// Makes views and directories, and mounts once where a sub path has to be there.
Task<void> prepare_image_volumes(Node& node, const records::ContainerRecord& record);
Task<ImageTrees> mount_image_volumes(Node& node, const records::ContainerRecord& record);
// Parts that are gone already are fine.
Task<void> remove_image_volumes(Node& node, const records::ContainerRecord& record);
// Directories of containers that no record knows; blocks. Returns their names.
Result<std::vector<std::string>> sweep_artifact_volumes(const Node& node);

}  // namespace berth::cri
