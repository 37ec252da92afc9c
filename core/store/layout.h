// SPDX-License-Identifier: Apache-2.0
// The paths of berth's directories, as pure functions of two roots. docs/DATA.md lists their
// contents.
//
//   <state_dir> (/run/berth, tmpfs)           <root_dir> (/var/lib/berth)
//     berth.sock      CRI, 0660                 content/            blobs by digest
//     keeper.sock     the keeper's              images/             LMDB, durable
//     state/          LMDB, not durable         snapshots/overlay/  LMDB and trees
//     snapshots/      LMDB, not durable
//                                               snapshots/mount-points/
//                                               artifact-volumes/
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace berth::store {

constexpr std::string_view kDefaultStateDir = "/run/berth";
constexpr std::string_view kDefaultRootDir = "/var/lib/berth";

class Layout {
 public:
  // Absolute, without a '/' at the end.
  Layout(std::string root_dir, std::string state_dir)
      : root_dir_(std::move(root_dir)), state_dir_(std::move(state_dir)) {}

  const std::string& root_dir() const { return root_dir_; }
  const std::string& state_dir() const { return state_dir_; }

  std::string cri_socket() const { return state_dir_ + "/berth.sock"; }
  std::string state_store() const { return state_dir_ + "/state"; }
  std::string snapshots_state() const { return state_dir_ + "/snapshots"; }
  std::string content() const { return root_dir_ + "/content"; }
  std::string images_store() const { return root_dir_ + "/images"; }
  std::string snapshots() const { return root_dir_ + "/snapshots"; }
  // Lowest layer of every root filesystem (cri/container/mount_points.h).
  std::string mount_points() const { return snapshots() + "/mount-points"; }
  // Directories that containers see as a volume made of an artifact's files, and an empty one.
  std::string artifact_volumes() const { return root_dir_ + "/artifact-volumes"; }
  std::string overlay_snapshots() const { return snapshots() + "/overlay"; }

 private:
  std::string root_dir_;
  std::string state_dir_;
};

}  // namespace berth::store
