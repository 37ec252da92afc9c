// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/recorder.h"

#include <utility>

namespace berth::image {
namespace {

// The blobs that a pull stored, should the image have been in the store before it.
std::vector<oci::Digest> stored_blobs(const Job& job, const Resolved& resolved) {
  std::vector<oci::Digest> stored;
  for (const Resolved::Document& document : resolved.documents) stored.push_back(document.digest);
  stored.push_back(resolved.manifest.config.digest);
  for (const std::size_t index : job.to_fetch) stored.push_back(job.layers[index]->blob.digest);
  // An archive brings the layers of its own manifest, though the image is extracted already.
  if (job.local.has_value()) {
    for (const auto& layer : job.layers) stored.push_back(layer->blob.digest);
  }
  return stored;
}

}  // namespace

SyncState Recorder::sync_state() const {
  return context_.options.durable ? SyncState::later : SyncState::synced;
}

Recorder::Present Recorder::find(const oci::Digest& root, const oci::Platform& platform) const {
  Present present;
  for (const ImageEntry& entry : context_.images.list()) {
    const bool fits =
        entry.image->is_artifact() || oci::platform_matches(platform, entry.image->config.platform);
    for (const std::string& reference : entry.repo_digests) {
      if (!fits || !reference.ends_with("@" + root.text())) continue;
      present.image = entry.manifests.at(reference);
      present.keys = present.image->chain_ids;
      for (const oci::Digest& blob : needed_blobs(entry)) present.keys.push_back(blob.text());
    }
  }
  return present;
}

Task<std::optional<std::string>> Recorder::add_if_present(JobPtr job, oci::Digest root) {
  std::optional<std::string> id;
  if (root.empty()) co_return id;
  Present present = find(root, job->request.platform);
  if (present.image == nullptr) co_return id;
  const CachedImage& image = *present.image;
  co_await sweeper_.lease(job, std::move(present.keys));
  // A sweep may have removed it before the lease.
  const ImageName by_id = named_by_id(image.id);
  const std::optional<ImageEntry> still = co_await context_.images.find(by_id);
  if (!still.has_value()) co_return id;
  const bool complete = co_await is_complete(image);
  if (!complete) co_return id;
  // `sync_state` matters if the image is removed just now: this adds it anew.
  const auto add = [this, &job, &image, &root]() -> Result<std::string> {
    if (!image.is_artifact()) {
      NewImage again{job->reference, image.manifest_digest, root, image.config_json, image.layers};
      again.sync_state = sync_state();
      return context_.images.add(again);
    }
    TRY(std::string manifest, context_.content.read(image.manifest_digest, oci::kDocumentSizeMax));
    return context_.images.add_artifact(
        {job->reference, image.manifest_digest, root, std::move(manifest), sync_state()});
  };
  id = co_await offload(context_.pool, add);
  durability_.start();
  co_return id;
}

Task<bool> Recorder::is_complete(const CachedImage& image) {
  if (!image.is_artifact() && !image.chain_ids.empty()) {
    const bool extracted = co_await context_.layers.has(image.chain_ids.back());
    if (!extracted) co_return false;
  }
  if (!image.is_artifact() && !context_.options.keep_layer_blobs) co_return true;
  const bool complete = co_await has_layer_blobs(image);
  co_return complete;
}

Task<bool> Recorder::has_layer_blobs(const CachedImage& image) {
  const auto look = [this, &image]() -> Result<bool> {
    for (const LayerInfo& layer : image.layers) {
      TRY(const std::optional<std::uint64_t> size, context_.content.size(layer.digest));
      if (!size.has_value()) return false;
    }
    return true;
  };
  const bool complete = co_await offload(context_.pool, look);
  co_return complete;
}

Task<std::string> Recorder::add_image(JobPtr job, const Resolved& resolved,
                                      std::string config_json) {
  NewImage image{
      job->reference, resolved.manifest_digest, resolved.root_digest, std::move(config_json), {},
      sync_state()};
  for (const auto& layer : job->layers) {
    image.layers.push_back({layer->blob.digest, layer->blob.size});
  }
  const bool extracted = job->first_missing < job->layers.size();
  if (context_.options.durable && extracted) image.sync_state = SyncState::again;
  image.sync = [this, &job, &resolved] { return durability_.sync(stored_blobs(*job, resolved)); };
  const auto add = [this, &image] { return context_.images.add(image); };
  std::string id = co_await offload(context_.pool, add);
  durability_.start();
  if (!context_.options.keep_layer_blobs) sweeper_.request();
  co_return id;
}

Task<std::string> Recorder::add_artifact(JobPtr job, const Resolved& resolved) {
  NewArtifact artifact{job->reference, resolved.manifest_digest, resolved.root_digest,
                       resolved.documents.back().bytes, sync_state()};
  artifact.sync = [this, &job, &resolved] {
    return durability_.sync(stored_blobs(*job, resolved));
  };
  const auto add = [this, &artifact] { return context_.images.add_artifact(artifact); };
  std::string id = co_await offload(context_.pool, add);
  durability_.start();
  co_return id;
}

}  // namespace berth::image
