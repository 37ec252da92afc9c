// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/plan.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace berth::image {

void plan_artifact(Job& job, const oci::Manifest& manifest) {
  for (const oci::Descriptor& blob : manifest.layers) {
    auto layer = std::make_unique<LayerJob>();
    layer->blob = blob;
    job.layers.push_back(std::move(layer));
  }
  job.layers_known = true;
}

void plan_layers(Job& job, const oci::Manifest& manifest, const oci::Image& config) {
  const std::vector<oci::Digest> chain = oci::chain_ids(config.diff_ids);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto layer = std::make_unique<LayerJob>();
    layer->blob = manifest.layers[i];
    layer->diff_id = config.diff_ids[i];
    layer->chain_id = chain[i].text();
    if (i > 0) layer->parent = chain[i - 1].text();
    job.layers.push_back(std::move(layer));
  }
  job.layers_known = true;
}

// A chain id names everything below it too, so the highest committed one ends the search.
Task<void> find_missing(PullContext& context, JobPtr job) {
  std::size_t missing = job->layers.size();
  while (missing > 0) {
    const bool present = co_await context.layers.has(job->layers[missing - 1]->chain_id);
    if (present) break;
    --missing;
  }
  for (std::size_t i = 0; i < missing; ++i) {
    job->layers[i]->stage = LayerProgress::Stage::done;
    job->layers[i]->done_event.set();
  }
  job->first_missing = missing;
  if (missing == 0 || !context.options.keep_layer_blobs) co_return;
  // Push and save need the blobs also where another image's pull has extracted the same layers.
  ContentStore& content = context.content;
  const auto find_blobs = [&content, &job, missing]() -> Status {
    for (std::size_t i = 0; i < missing; ++i) {
      TRY(const std::optional<std::uint64_t> size, content.size(job->layers[i]->blob.digest));
      if (!size.has_value()) job->blobs_missing.push_back(i);
    }
    return {};
  };
  co_await offload(context.pool, find_blobs);
}

}  // namespace berth::image
