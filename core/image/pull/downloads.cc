// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/downloads.h"

#include <utility>

#include "core/image/transfer/fetch.h"

namespace berth::image {

std::shared_ptr<Budget> Downloads::host_budget(const std::string& domain) {
  std::erase_if(hosts_, [](const auto& host) { return host.second.expired(); });
  std::weak_ptr<Budget>& entry = hosts_[domain];
  std::shared_ptr<Budget> budget = entry.lock();
  if (budget == nullptr) {
    budget = std::make_shared<Budget>(context_.memory.fetch_per_host);
    entry = budget;
  }
  return budget;
}

// Take the per-host share first, so that a slow host holds no global budget.
Task<Downloads::Memory> Downloads::take_memory(JobPtr job) {
  Memory memory;
  memory.of_host = co_await job->host_budget->take(kFetchMemory);
  memory.of_all = co_await memory_.take(kFetchMemory);
  co_return std::move(memory);
}

Task<void> Downloads::put_document(JobPtr job, Resolved::Document document) {
  std::string key = document.digest.text();
  Flights::Start start = [this, &document] { return put(document); };
  co_await blobs_.join_shared(job->transfers, std::move(key), std::move(start));
}

Task<void> Downloads::put(Resolved::Document document) {
  ContentStore& content = context_.content;
  const auto work = [&content, &document] { return content.put(document.digest, document.bytes); };
  co_await offload(context_.pool, work);
}

Task<void> Downloads::fetch_config(JobPtr job, oci::Descriptor blob) {
  const Memory memory = co_await under(job->transfers, take_memory(job));
  std::string key = blob.digest.text();
  Flights::Start start = [this, &job, &blob] { return run_config(job, blob); };
  co_await blobs_.join_shared(job->transfers, std::move(key), std::move(start));
}

Task<void> Downloads::run_config(JobPtr job, oci::Descriptor blob) {
  std::atomic<std::uint64_t> fetched{0};
  co_await fetch_blob(context_.pool, *job->session, context_.content, std::move(blob), nullptr,
                      fetched, job->transferred);
}

Task<void> Downloads::fetch_layer(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  const std::string key = layer.blob.digest.text();
  if (!blobs_.running(key)) arrivals_[key] = std::make_shared<Arrival>();
  layer.arrival = arrivals_[key];
  layer.started_event.set();
  Flights::Start start = [this, &job, index] { return run_layer(job, index); };
  co_await blobs_.join_shared(job->transfers, key, std::move(start));
}

Task<void> Downloads::run_layer(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  const std::string key = layer.blob.digest.text();
  // None after another pull's failure, whose arrival has told its readers.
  std::shared_ptr<Arrival>& entry = arrivals_[key];
  if (entry == nullptr) entry = std::make_shared<Arrival>();
  const std::shared_ptr<Arrival> arrival = entry;
  Result<void> outcome = co_await fetch_blob(context_.pool, *job->session, context_.content,
                                             layer.blob, arrival, layer.fetched, job->transferred)
                             .result();
  arrivals_.erase(key);
  arrival->ended(outcome);
  co_await std::move(outcome);
}

}  // namespace berth::image
