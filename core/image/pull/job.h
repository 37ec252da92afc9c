// SPDX-License-Identifier: Apache-2.0
// One running pull: its request, its layers, how to end it. Private to this room. The loop's thread
// only, but for what says otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/image/content/arrival.h"
#include "core/image/pull/budget.h"
#include "core/image/pull/leases.h"
#include "core/image/pull/puller.h"
#include "core/image/pull/resolve.h"
#include "core/image/registry/session.h"
#include "core/task/cancel.h"
#include "core/task/event.h"

namespace berth::image {

struct LayerJob {
  oci::Descriptor blob;
  oci::Digest diff_id;
  std::string chain_id;  // empty: the blob is kept and not extracted
  std::string parent;    // chain id; empty for the lowest layer
  // Its fetch has begun: the extraction may read `arrival`, if there is one.
  Event started_event;
  std::shared_ptr<Arrival> arrival;
  // Its fetch has ended.
  Event fetched_event;
  std::optional<Error> fetch_error;
  // It is committed, or the pull has failed.
  Event done_event;
  std::atomic<std::uint64_t> fetched{0};  // written on the thread that takes the bytes
  LayerProgress::Stage stage = LayerProgress::Stage::waiting;
};

struct Job {
  Job(PullRequest wanted, oci::Reference parsed)
      : request(std::move(wanted)), reference(std::move(parsed)) {}

  // Steps on threads and transfers end soon; a blob that another pull waits for still arrives.
  void cancel();
  // The same because of `error`: layers that wait for others go on and find that the pull is over.
  void fail(Error error);

  PullRequest request;
  oci::Reference reference;
  std::stop_source stop;    // of the steps on threads
  CancelContext transfers;  // of requests to the registry
  std::unique_ptr<RegistrySession> session;
  // Shared by all jobs that ask the same registry; null without one.
  std::shared_ptr<Budget> host_budget;
  // Instead of a registry: every blob is in the content store.
  std::optional<LocalImage> local;
  std::atomic<std::uint64_t> transferred{0};  // written on threads
  Leases::Lease lease;                        // taken before it looks for blobs and layers
  // Filled once, before `layers_known`; the elements do not move.
  std::vector<std::unique_ptr<LayerJob>> layers;
  bool layers_known = false;
  std::size_t first_missing = 0;  // layers below it are committed
  // Committed layers without their blob: another blob, compressed otherwise, was extracted.
  std::vector<std::size_t> blobs_missing;
  std::vector<std::size_t> to_fetch;  // layers, in this order
  std::size_t next_fetch = 0;         // of to_fetch
  unsigned workers = 0;               // fetchers and extractions
  Event workers_ended;
  std::optional<Error> failure;   // the first one; later ones are consequences
  std::size_t implied_bytes = 0;  // of layers that are extracted and not committed
};
using JobPtr = std::shared_ptr<Job>;

// The pulls that run.
class RunningPulls {
 public:
  void add(JobPtr job) { jobs_.push_back(std::move(job)); }
  void remove(const JobPtr& job) { jobs_.remove(job); }
  bool empty() const { return jobs_.empty(); }
  void cancel_all();
  void fail_all(const Error& error);

 private:
  std::list<JobPtr> jobs_;
};

}  // namespace berth::image
