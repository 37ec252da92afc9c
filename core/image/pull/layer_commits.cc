// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/layer_commits.h"

#include <utility>

#include "core/base/units.h"

namespace berth::image {
namespace {

// Of all layers of an image that wait for those below them.
constexpr std::size_t kImpliedBytesMax = 16_MiB;

std::size_t implied_bytes_of(const ExtractedLayer& layer) {
  std::size_t bytes = 0;
  for (const std::string& path : layer.implied) bytes += path.size() + sizeof path;
  return bytes;
}

}  // namespace

Task<void> LayerCommits::ensure(JobPtr job, std::size_t index) {
  std::string key = job->layers[index]->chain_id;
  Flights::Start start = [this, &job, index] { return extract_and_commit(job, index); };
  co_await chains_.join_owned(job->transfers, std::move(key), std::move(start));
}

// Extract at once, then wait for the layer below, then commit.
Task<void> LayerCommits::extract_and_commit(JobPtr job, std::size_t index) {
  const LayerJob& layer = *job->layers[index];
  const bool present = co_await context_.layers.has(layer.chain_id);
  if (present) co_return;
  ExtractedLayer extracted = co_await extraction_.extract(job, index);
  const std::size_t implied_bytes = implied_bytes_of(extracted);
  job->implied_bytes += implied_bytes;
  Result<void> outcome;
  if (job->implied_bytes > kImpliedBytesMax) {
    outcome = make_error(Errc::resource_exhausted,
                         "layer " + layer.blob.digest.text() +
                             ": too many directories without entries of their own");
  }
  if (outcome.ok() && index > 0) {
    outcome = co_await job->layers[index - 1]->done_event.wait().result();
  }
  if (outcome.ok() && job->failure.has_value()) outcome = *job->failure;
  if (outcome.ok()) {
    Task<void> commit = context_.layers.commit(layer.chain_id, layer.parent, std::move(extracted));
    outcome = co_await std::move(commit).result();
  }
  job->implied_bytes -= implied_bytes;
  if (!outcome.ok()) co_await shield(extraction_.abort(layer.chain_id));
  co_await std::move(outcome);
}

}  // namespace berth::image
