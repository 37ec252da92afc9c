// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/overlay.h"

namespace berth::snapshotter {
namespace {

using plugins::SnapshotKind;
using plugins::SnapshotMount;

SnapshotMount bind(std::string source, bool readonly) {
  return {"bind", std::move(source), {readonly ? "ro" : "rw", "rbind"}};
}

std::string lowerdir(const OverlayLayout& layout, const std::vector<std::uint64_t>& ids) {
  std::string option = "lowerdir=";
  for (const std::uint64_t id : ids) {
    if (option.back() != '=') option += ':';
    option += layout.fs(id);
  }
  return option;
}

}  // namespace

std::vector<SnapshotMount> overlay_mounts(const OverlayLayout& layout, const OverlayRecord& record,
                                          const std::vector<std::uint64_t>& parents) {
  if (record.kind == SnapshotKind::view) {
    // Overlayfs needs two layers; a single one is bind-mounted.
    if (parents.empty()) return {bind(layout.fs(record.id), true)};
    if (parents.size() == 1) return {bind(layout.fs(parents.front()), true)};
    return {{"overlay", "overlay", {"ro", lowerdir(layout, parents)}}};
  }
  if (parents.empty()) return {bind(layout.fs(record.id), false)};
  // volatile: without it, unmounting one container syncs the whole filesystem below. The tree is
  // not needed after a reboot.
  return {{"overlay",
           "overlay",
           {"upperdir=" + layout.fs(record.id), "workdir=" + layout.work(record.id),
            lowerdir(layout, parents), "volatile"}}};
}

}  // namespace berth::snapshotter
