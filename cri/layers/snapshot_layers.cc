// SPDX-License-Identifier: Apache-2.0
#include "cri/layers/snapshot_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/linux/overlay_options.h"
#include "core/ring/offload.h"

namespace berth::cri {
namespace {

constexpr std::string_view kExtractPrefix = "extract-";

std::string extract_key(const std::string& chain_id) {
  return std::string(kExtractPrefix) + chain_id;
}

Result<UniqueFd> open_tree_root(const std::string& path) {
  UniqueFd opened(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return sys_error(errno, "open snapshot directory", path);
  return opened;
}

Result<UniqueFd> open_directory(const std::vector<plugins::SnapshotMount>& mounts) {
  TRY(const TargetPaths paths, target_paths(mounts));
  return open_tree_root(paths.directory);
}

Status adopt(const TargetPaths& paths, const image::ExtractedLayer& layer,
             const std::string& chain_id) {
  TRY(const UniqueFd directory, open_tree_root(paths.directory));
  std::vector<UniqueFd> lowers;
  for (const std::string& path : paths.lowers) {
    TRY(UniqueFd lower, open_tree_root(path));
    lowers.push_back(std::move(lower));
  }
  return image::adopt_directories(directory.get(), lowers, layer.implied, chain_id);
}

}  // namespace

Result<TargetPaths> target_paths(const std::vector<plugins::SnapshotMount>& mounts) {
  TargetPaths paths;
  if (mounts.size() == 1 && mounts[0].type == "bind") {
    paths.directory = mounts[0].source;
    return paths;
  }
  if (mounts.size() == 1 && mounts[0].type == "overlay") {
    sys::OverlayLayers layers = sys::overlay_layers(mounts[0].options);
    paths.directory = std::move(layers.upperdir);
    paths.lowers = std::move(layers.lowerdirs);
    if (!paths.directory.empty()) return paths;
  }
  return make_error(Errc::failed_precondition,
                    "the snapshotter describes no directory that a layer can be extracted into");
}

SnapshotLayers::SnapshotLayers(Ring& ring, plugins::Snapshotter& snapshots, std::string root,
                               image::UnpackLimits limits)
    : ring_(ring),
      snapshots_(snapshots),
      root_(std::move(root)),
      root_fd_(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      limits_(limits) {}

Task<bool> SnapshotLayers::has(std::string chain_id) {
  Result<plugins::SnapshotInfo> info = co_await snapshots_.stat(chain_id).result();
  if (info.ok()) co_return info->kind == plugins::SnapshotKind::committed;
  if (!info.error().is(Errc::not_found)) co_await fail(std::move(info).error());
  co_return false;
}

Task<image::LayerTarget> SnapshotLayers::begin(std::string chain_id, bool lowest) {
  const std::string key = extract_key(chain_id);
  co_await abort(chain_id);
  std::vector<plugins::SnapshotMount> mounts = co_await snapshots_.prepare(key, "");
  Result<UniqueFd> directory = open_directory(mounts);
  if (!directory.ok()) {
    Result<void> aborted = co_await shield(abort(chain_id)).result();
    Error error = std::move(directory).error();
    if (!aborted.ok()) {
      error = std::move(error).with("abort also failed: " + aborted.error().message());
    }
    co_await fail(std::move(error));
  }
  image::LayerTarget target;
  target.directory = *std::move(directory);
  target.lowest = lowest;
  co_return target;
}

Result<image::ExtractedLayer> SnapshotLayers::extract(const image::LayerTarget& target,
                                                      std::string_view layer,
                                                      image::ByteSource& tar) {
  const image::LayerPlace place =
      target.lowest ? image::LayerPlace::lowest : image::LayerPlace::above_others;
  TRY(image::UnpackResult result,
      image::unpack_layer(target.directory.get(), place, layer, tar, limits_));
  return image::ExtractedLayer{std::move(result.implied)};
}

Task<void> SnapshotLayers::commit(std::string chain_id, std::string parent,
                                  image::ExtractedLayer layer) {
  const std::string key = extract_key(chain_id);
  if (!parent.empty()) {
    co_await snapshots_.rebase(key, parent);
    if (!layer.implied.empty()) {
      const std::vector<plugins::SnapshotMount> mounts = co_await snapshots_.mounts(key);
      const TargetPaths paths = co_await target_paths(mounts);
      const auto work = [&] { return adopt(paths, layer, chain_id); };
      co_await offload(ring_, work);
    }
  }
  co_await snapshots_.commit(chain_id, key);
}

Task<void> SnapshotLayers::abort(std::string chain_id) {
  Result<void> removed = co_await snapshots_.remove(extract_key(chain_id)).result();
  if (!removed.ok() && !removed.error().is(Errc::not_found)) {
    co_await fail(std::move(removed).error());
  }
}

Status SnapshotLayers::sync() {
  if (!root_fd_.valid()) return make_error(Errc::not_found, "snapshots directory `" + root_ + "`");
  if (::syncfs(root_fd_.get()) != 0) return sys_error(errno, "syncfs", root_);
  return {};
}

Task<std::vector<std::string>> SnapshotLayers::list() {
  std::vector<plugins::SnapshotInfo> all = co_await snapshots_.walk();
  std::vector<std::string> chain_ids;
  for (const plugins::SnapshotInfo& info : all) {
    const bool ours = info.name.starts_with("sha256:") || info.name.starts_with("sha512:");
    if (ours && info.kind == plugins::SnapshotKind::committed) chain_ids.push_back(info.name);
  }
  co_return chain_ids;
}

Task<void> SnapshotLayers::remove(std::string chain_id) {
  return snapshots_.remove(std::move(chain_id));
}

Task<void> SnapshotLayers::abort_unfinished() {
  std::vector<plugins::SnapshotInfo> all = co_await snapshots_.walk();
  for (const plugins::SnapshotInfo& info : all) {
    if (!info.name.starts_with(kExtractPrefix)) continue;
    if (info.kind == plugins::SnapshotKind::committed) continue;
    co_await snapshots_.remove(info.name);
  }
}

}  // namespace berth::cri
