// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/workers.h"

#include <algorithm>
#include <utility>

namespace berth::image {
namespace {

// Every blob of a local image is in the content store.
void mark_all_fetched(Job& job) {
  for (const auto& layer : job.layers) {
    layer->fetched = layer->blob.size;
    layer->started_event.set();
    layer->fetched_event.set();
  }
}

void plan_fetches(Job& job) {
  for (std::size_t i = job.first_missing; i < job.layers.size(); ++i) job.to_fetch.push_back(i);
  job.to_fetch.insert(job.to_fetch.end(), job.blobs_missing.begin(), job.blobs_missing.end());
}

void worker_ended(Job& job) {
  if (--job.workers == 0) job.workers_ended.set();
}

}  // namespace

Task<void> Workers::run(JobPtr job) {
  start(job);
  if (job->workers > 0) co_await job->workers_ended.wait();
  if (job->failure.has_value()) {
    Error error = *job->failure;
    co_await fail(std::move(error));
  }
}

void Workers::start(JobPtr job) {
  if (job->local.has_value()) {
    mark_all_fetched(*job);
  } else {
    plan_fetches(*job);
  }
  std::size_t refused = 0;
  const auto spawn = [&](Task<void> worker) {
    if (context_.scope.spawn(std::move(worker))) {
      ++job->workers;
    } else {
      ++refused;
    }
  };
  const std::size_t fetchers =
      std::min<std::size_t>(job->to_fetch.size(), context_.options.parallel_fetches);
  for (std::size_t i = 0; i < fetchers; ++i) spawn(fetcher(job));
  for (std::size_t i = job->first_missing; i < job->layers.size(); ++i) {
    // An artifact's layers are files, not trees.
    if (!job->layers[i]->chain_id.empty()) spawn(extractor(job, i));
  }
  // Only while closing.
  if (refused > 0) job->fail(make_error(Errc::unavailable, "shutting down"));
}

// After a failure the pull is lost: no fetch is started, and each remaining layer gets an error, so
// that its extraction ends.
Task<void> Workers::fetcher(JobPtr job) {
  Result<Downloads::Memory> memory =
      co_await under(job->transfers, downloads_.take_memory(job)).result();
  if (!memory.ok()) job->fail(std::move(memory).error());
  while (job->next_fetch < job->to_fetch.size()) {
    const std::size_t index = job->to_fetch[job->next_fetch++];
    LayerJob& layer = *job->layers[index];
    Result<void> outcome = make_error(Errc::cancelled, "cancelled");
    if (!job->stop.stop_requested()) {
      layer.stage = LayerProgress::Stage::fetching;
      outcome = co_await downloads_.fetch_layer(job, index).result();
    }
    if (outcome.ok()) {
      layer.fetched = layer.blob.size;
      const bool committed = index < job->first_missing;
      layer.stage = committed ? LayerProgress::Stage::done : LayerProgress::Stage::fetched;
    } else {
      layer.fetch_error = outcome.error();
      job->fail(std::move(outcome).error());
    }
    layer.arrival.reset();
    layer.started_event.set();
    layer.fetched_event.set();
  }
  worker_ended(*job);
}

Task<void> Workers::extractor(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  Result<void> outcome = co_await commits_.ensure(job, index).result();
  if (outcome.ok()) {
    layer.stage = LayerProgress::Stage::done;
  } else {
    job->fail(std::move(outcome).error());
  }
  layer.done_event.set();
  worker_ended(*job);
}

}  // namespace berth::image
