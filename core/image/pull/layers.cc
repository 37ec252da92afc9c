// SPDX-License-Identifier: Apache-2.0
// Each blob and each chain id is worked on once, however many pulls want it. Of one pull, fetchers
// bring layer after layer while every layer's extraction follows its blob, all at once; committed
// they are from the lowest up.
#include "core/base/units.h"
#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

// Of all layers of an image that wait for those below them.
constexpr std::size_t kImpliedBytesMost = 16_MiB;

std::size_t implied_bytes_of(const ExtractedLayer& layer) {
  std::size_t bytes = 0;
  for (const std::string& path : layer.implied) bytes += path.size() + sizeof path;
  return bytes;
}

}  // namespace

// Waits for the one who works on `key`, or becomes it. If another pull's attempt fails, for
// whatever reason of its own (its credentials, its cancellation), this one tries for itself. A job
// that is over waits for nobody else's.
Task<void> Puller::Impl::join(JobPtr job, InFlight& table, std::string key,
                              std::function<Task<void>()> start) {
  while (true) {
    const auto found = table.find(key);
    if (found == table.end()) break;
    std::shared_ptr<Flight> others = found->second;
    Result<void> outcome = co_await under(job->transfers, others->attempt->wait()).result();
    if (outcome.ok()) co_return;
    if (job->transfers.cancelled()) co_await std::move(outcome);
  }
  std::shared_ptr<Flight> ours = begin(table, std::move(key), std::move(start));
  co_await ours->attempt->wait();
}

// The same for what is fetched. It goes on for as long as any pull wants it, whoever began it.
Task<void> Puller::Impl::join_fetch(JobPtr job, std::string key,
                                    std::function<Task<void>()> start) {
  while (true) {
    const auto found = blobs_in_flight.find(key);
    if (found == blobs_in_flight.end()) break;
    Result<void> outcome = co_await wait_for(job, found->second).result();
    if (outcome.ok()) co_return;
    if (job->transfers.cancelled()) co_await std::move(outcome);
  }
  co_await wait_for(job, begin(blobs_in_flight, std::move(key), std::move(start)));
}

// Who loses interest leaves; the last one ends the work, and waits until it has ended: nothing may
// arrive any more when its pull is over.
Task<void> Puller::Impl::wait_for(JobPtr job, std::shared_ptr<Flight> flight) {
  ++flight->waiters;
  Result<void> outcome = co_await under(job->transfers, flight->attempt->wait()).result();
  const bool last = --flight->waiters == 0;
  if (last && !flight->attempt->ended()) {
    flight->cancel.cancel();
    outcome = co_await flight->attempt->wait().result();
  }
  co_await std::move(outcome);
}

std::shared_ptr<Flight> Puller::Impl::begin(InFlight& table, std::string key,
                                            std::function<Task<void>()> start) {
  auto flight = std::make_shared<Flight>();
  flight->attempt = Shared<void>::start(scope, drive(table, key, flight, start()));
  // A closed scope has destroyed the work unstarted: nobody would take the entry away again.
  if (!flight->attempt->ended()) table.emplace(std::move(key), flight);
  return flight;
}

Task<void> Puller::Impl::drive(InFlight& table, std::string key, std::shared_ptr<Flight> flight,
                               Task<void> work) {
  Result<void> outcome = co_await under(flight->cancel, std::move(work)).result();
  table.erase(key);
  co_await std::move(outcome);
}

Task<void> Puller::Impl::ensure_document(JobPtr job, Resolved::Document document) {
  std::string key = document.digest.text();
  std::function<Task<void>()> start = [this, &document] { return put_document(document); };
  co_await join_fetch(job, std::move(key), std::move(start));
}

Task<void> Puller::Impl::put_document(Resolved::Document document) {
  const auto put = [this, &document] { return content.put(document.digest, document.bytes); };
  co_await offload(pool, put);
}

// The line of the host first: who stands there holds nothing of the others'.
Task<FetchShares> Puller::Impl::take_fetch_shares(JobPtr job) {
  FetchShares shares;
  shares.of_host = co_await job->host_budget->take(kFetchMemory);
  shares.of_all = co_await fetch_budget.take(kFetchMemory);
  co_return std::move(shares);
}

Task<void> Puller::Impl::ensure_config(JobPtr job, oci::Descriptor blob) {
  const FetchShares shares = co_await under(job->transfers, take_fetch_shares(job));
  std::string key = blob.digest.text();
  std::function<Task<void>()> start = [this, &job, &blob] { return fetch_config(job, blob); };
  co_await join_fetch(job, std::move(key), std::move(start));
}

Task<void> Puller::Impl::fetch_config(JobPtr job, oci::Descriptor blob) {
  std::atomic<std::uint64_t> fetched{0};
  co_await fetch_blob(pool, *job->session, content, std::move(blob), nullptr, fetched,
                      job->transferred);
}

Task<void> Puller::Impl::ensure_blob(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  const std::string key = layer.blob.digest.text();
  if (blobs_in_flight.count(key) == 0) arrivals[key] = std::make_shared<Arrival>();
  layer.arrival = arrivals[key];
  layer.started_event.set();
  std::function<Task<void>()> start = [this, &job, index] { return fetch_layer(job, index); };
  co_await join_fetch(job, key, std::move(start));
}

Task<void> Puller::Impl::fetch_layer(JobPtr job, std::size_t index) {
  const std::string key = job->layers[index]->blob.digest.text();
  // A new one after another pull's failure: whoever followed that has been told.
  std::shared_ptr<Arrival>& entry = arrivals[key];
  if (entry == nullptr) entry = std::make_shared<Arrival>();
  const std::shared_ptr<Arrival> arrival = entry;
  LayerJob& layer = *job->layers[index];
  Result<void> outcome = co_await fetch_blob(pool, *job->session, content, layer.blob, arrival,
                                             layer.fetched, job->transferred)
                             .result();
  arrivals.erase(key);
  arrival->ended(outcome);
  co_await std::move(outcome);
}

void Puller::Impl::start_workers(JobPtr job) {
  if (!job->local.has_value()) {
    for (std::size_t i = job->first_missing; i < job->layers.size(); ++i)
      job->to_fetch.push_back(i);
    job->to_fetch.insert(job->to_fetch.end(), job->blobs_missing.begin(), job->blobs_missing.end());
  }
  const std::size_t wanted = std::min<std::size_t>(job->to_fetch.size(), options.parallel_fetches);
  if (job->local.has_value()) {
    for (const auto& layer : job->layers) {
      layer->fetched = layer->blob.size;
      layer->started_event.set();
      layer->fetched_event.set();
    }
  }
  std::size_t refused = 0;
  const auto spawn = [&](Task<void> worker) {
    if (scope.spawn(std::move(worker))) {
      ++job->workers;
    } else {
      ++refused;
    }
  };
  for (std::size_t i = 0; i < wanted; ++i) spawn(fetcher(job));
  for (std::size_t i = job->first_missing; i < job->layers.size(); ++i) {
    // An artifact's layers are files, not trees.
    if (!job->layers[i]->chain_id.empty()) spawn(extractor(job, i));
  }
  // Only while closing.
  if (refused > 0) fail_job(*job, make_error(Errc::unavailable, "shutting down"));
}

void Puller::Impl::worker_ended(const JobPtr& job) {
  if (--job->workers == 0) job->workers_ended.set();
}

// Everything of the job that waits goes on and finds that it is over. A blob that another pull
// waits for goes on coming.
void Puller::Impl::fail_job(Job& job, Error error) {
  if (!job.failure.has_value()) job.failure = std::move(error);
  job.stop.request_stop();
  job.transfers.cancel();
  for (const auto& layer : job.layers) layer->done_event.set();
}

// Fetches layer after layer until none is left. After a failure the pull is lost, so nothing more
// is begun, and the layers that will never come say why.
Task<void> Puller::Impl::fetcher(JobPtr job) {
  Result<FetchShares> shares = co_await under(job->transfers, take_fetch_shares(job)).result();
  if (!shares.ok()) fail_job(*job, std::move(shares).error());
  while (job->next_fetch < job->to_fetch.size()) {
    const std::size_t index = job->to_fetch[job->next_fetch++];
    LayerJob& layer = *job->layers[index];
    Result<void> outcome = make_error(Errc::cancelled, "given up");
    if (!job->stop.stop_requested()) {
      layer.stage = LayerProgress::Stage::fetching;
      outcome = co_await ensure_blob(job, index).result();
    }
    if (outcome.ok()) {
      layer.fetched = layer.blob.size;
      const bool unpacked = index < job->first_missing;
      layer.stage = unpacked ? LayerProgress::Stage::done : LayerProgress::Stage::fetched;
    } else {
      layer.fetch_error = outcome.error();
      fail_job(*job, std::move(outcome).error());
    }
    layer.arrival.reset();
    layer.started_event.set();
    layer.fetched_event.set();
  }
  worker_ended(job);
}

Task<void> Puller::Impl::extractor(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  Result<void> outcome = co_await ensure_layer(job, index).result();
  if (outcome.ok()) {
    layer.stage = LayerProgress::Stage::done;
  } else {
    fail_job(*job, std::move(outcome).error());
  }
  layer.done_event.set();
  worker_ended(job);
}

Task<void> Puller::Impl::ensure_layer(JobPtr job, std::size_t index) {
  std::string key = job->layers[index]->chain_id;
  std::function<Task<void>()> start = [this, &job, index] { return extract_layer(job, index); };
  co_await join(job, chains_in_flight, std::move(key), std::move(start));
}

// The directory first, whenever it comes; then the turn of this layer.
Task<void> Puller::Impl::extract_layer(JobPtr job, std::size_t index) {
  const LayerJob& layer = *job->layers[index];
  const bool there = co_await layers.has(layer.chain_id);
  if (there) co_return;
  ExtractedLayer extracted = co_await extract(job, index);
  const std::size_t implied_bytes = implied_bytes_of(extracted);
  job->implied_bytes += implied_bytes;
  Result<void> outcome;
  if (job->implied_bytes > kImpliedBytesMost) {
    outcome = make_error(Errc::resource_exhausted,
                         "layer " + layer.blob.digest.text() +
                             ": too many directories without entries of their own");
  }
  if (outcome.ok() && index > 0) {
    outcome = co_await job->layers[index - 1]->done_event.wait().result();
  }
  if (outcome.ok() && job->failure.has_value()) outcome = *job->failure;
  if (outcome.ok()) {
    Task<void> commit = layers.commit(layer.chain_id, layer.parent, std::move(extracted));
    outcome = co_await std::move(commit).result();
  }
  job->implied_bytes -= implied_bytes;
  if (!outcome.ok()) co_await shield(abort_layer(layer.chain_id));
  co_await std::move(outcome);
}

}  // namespace berth::image
