// SPDX-License-Identifier: Apache-2.0
// Each blob and each chain id is worked on once, however many pulls want it.
#include "core/image/pull_impl.h"

namespace berth::image {

// Waits for the one who works on `key`, or becomes it. If another pull's attempt fails, for
// whatever reason of its own (its credentials, its cancellation), this one tries for itself.
Task<void> Puller::Impl::join(InFlight& table, std::string key, std::function<Task<void>()> start) {
  while (true) {
    const auto found = table.find(key);
    if (found == table.end()) break;
    std::shared_ptr<Shared<void>> others = found->second;
    Result<void> outcome = co_await others->wait().result();
    if (outcome.ok()) co_return;
  }
  auto ours = Shared<void>::start(scope, drive(table, key, start()));
  // A closed scope has destroyed the work unstarted: nobody would take the entry away again.
  if (!ours->ended()) table.emplace(key, ours);
  co_await ours->wait();
}

Task<void> Puller::Impl::drive(InFlight& table, std::string key, Task<void> work) {
  Result<void> outcome = co_await std::move(work).result();
  table.erase(key);
  co_await std::move(outcome);
}

Task<void> Puller::Impl::ensure_document(Resolved::Document document) {
  std::string key = document.digest.text();
  std::function<Task<void>()> start = [this, &document] { return put_document(document); };
  co_await join(blobs_in_flight, std::move(key), std::move(start));
}

Task<void> Puller::Impl::put_document(Resolved::Document document) {
  const auto put = [this, &document] { return content.put(document.digest, document.bytes); };
  co_await on_pool(pool, put);
}

Task<void> Puller::Impl::ensure_config(JobPtr job, oci::Descriptor blob) {
  std::string key = blob.digest.text();
  std::function<Task<void>()> start = [this, &job, &blob] { return fetch_config(job, blob); };
  co_await join(blobs_in_flight, std::move(key), std::move(start));
}

Task<void> Puller::Impl::fetch_config(JobPtr job, oci::Descriptor blob) {
  const auto fetch = [this, &job, &blob]() -> Status {
    std::atomic<std::uint64_t> fetched{0};
    return fetch_blob_blocking(job->repository, content, blob, fetched, job->transferred);
  };
  co_await on_pool(pool, fetch);
}

Task<void> Puller::Impl::ensure_blob(JobPtr job, std::size_t index) {
  std::string key = job->layers[index]->blob.digest.text();
  std::function<Task<void>()> start = [this, &job, index] { return fetch_layer(job, index); };
  co_await join(blobs_in_flight, std::move(key), std::move(start));
}

Task<void> Puller::Impl::fetch_layer(JobPtr job, std::size_t index) {
  const auto fetch = [this, &job, index] {
    LayerJob& layer = *job->layers[index];
    return fetch_blob_blocking(job->repository, content, layer.blob, layer.fetched,
                               job->transferred);
  };
  co_await on_pool(pool, fetch);
}

void Puller::Impl::start_fetchers(JobPtr job) {
  const std::size_t missing = job->layers.size() - job->first_missing;
  const std::size_t wanted = std::min<std::size_t>(missing, options.parallel_fetches);
  for (std::size_t i = 0; i < wanted; ++i) {
    if (scope.spawn(fetcher(job))) ++job->fetchers;
  }
  // Only while closing: nobody will fetch, so nobody may wait.
  if (job->fetchers > 0) return;
  for (std::size_t i = job->first_missing; i < job->layers.size(); ++i) {
    job->layers[i]->fetch_error = make_error(Errc::unavailable, "shutting down");
    job->layers[i]->fetched_event.set();
  }
}

// Fetches layer after layer until none is left. After a failure the pull is lost, so nothing more
// is begun, and the layers that will never come say why.
Task<void> Puller::Impl::fetcher(JobPtr job) {
  while (job->next_fetch < job->layers.size()) {
    LayerJob& layer = *job->layers[job->next_fetch];
    const std::size_t index = job->next_fetch++;
    if (job->stop.stop_requested()) {
      layer.fetch_error = make_error(Errc::cancelled, "given up");
      layer.fetched_event.set();
      continue;
    }
    layer.stage = LayerProgress::Stage::fetching;
    Result<void> outcome = co_await ensure_blob(job, index).result();
    if (outcome.ok()) {
      layer.fetched = layer.blob.size;
      layer.stage = LayerProgress::Stage::fetched;
    } else {
      layer.fetch_error = std::move(outcome).error();
    }
    layer.fetched_event.set();
  }
  if (--job->fetchers == 0) job->fetchers_ended.set();
}

Task<void> Puller::Impl::ensure_layer(JobPtr job, std::size_t index) {
  std::string key = job->layers[index]->chain_id;
  std::function<Task<void>()> start = [this, &job, index] { return extract_layer(job, index); };
  co_await join(chains_in_flight, std::move(key), std::move(start));
}

Task<void> Puller::Impl::extract_layer(JobPtr job, std::size_t index) {
  const LayerJob& layer = *job->layers[index];
  const bool there = co_await layers.has(layer.chain_id);
  if (there) co_return;
  LayerTarget target = co_await layers.begin(layer.chain_id, layer.parent);
  const ExtractSpec spec{
      layer.blob.digest,
      layer.diff_id,
      {options.layer_size_max, options.inflate_ratio_max, options.inflate_ratio_grace}};
  const auto extract = [this, &target, &spec, &job] {
    return extract_blocking(content, layers, target, spec, job->stop.get_token());
  };
  Result<void> outcome = co_await on_pool(pool, extract).result();
  target = LayerTarget{};  // nothing of it may be open when it is committed or removed
  if (outcome.ok()) outcome = co_await layers.commit(layer.chain_id).result();
  if (outcome.ok()) co_return;
  Result<void> aborted = co_await shield(layers.abort(layer.chain_id)).result();
  if (!aborted.ok())
    log.warn("image", "abort " + layer.chain_id + ": " + aborted.error().message());
  co_await std::move(outcome);
}

}  // namespace berth::image
