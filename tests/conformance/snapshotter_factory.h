// SPDX-License-Identifier: Apache-2.0
// What a snapshotter's tests make their snapshotter with, and how they look at its mounts.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/ring/ring.h"
#include "plugins/api/snapshotter.h"

namespace berth::plugins {

// One place on disk. snapshotter() is recovered; restart() is what a new agent would do: the old
// object is gone without a word, the new one recovers.
class SnapshotterFactory {
 public:
  virtual ~SnapshotterFactory() = default;
  virtual Ring& ring() = 0;
  virtual Snapshotter& snapshotter() = 0;
  virtual void restart() = 0;
};

// Where a writable snapshot's changes go: the upperdir of an overlay, the source of a bind.
inline std::string writable_dir(const std::vector<SnapshotMount>& mounts) {
  if (mounts.size() != 1) return {};
  if (mounts[0].type == "bind") return mounts[0].source;
  for (const std::string& option : mounts[0].options) {
    if (option.starts_with("upperdir=")) return option.substr(9);
  }
  return {};
}

// The same mount, whatever the order of its options.
inline std::string text(std::vector<SnapshotMount> mounts) {
  std::string all;
  for (SnapshotMount& mount : mounts) {
    std::sort(mount.options.begin(), mount.options.end());
    all += mount.type + " " + mount.source;
    for (const std::string& option : mount.options) all += "," + option;
    all += ";";
  }
  return all;
}

}  // namespace berth::plugins
