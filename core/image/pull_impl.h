// SPDX-License-Identifier: Apache-2.0
// The Puller's inside: what runs, and who waits for whom. Private to this room.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>

#include "core/image/on_pool.h"
#include "core/image/pull_job.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "core/task/shared.h"

namespace berth::image {

using JobPtr = std::shared_ptr<Job>;
// Work in progress by digest or chain id; whoever wants the same waits for it.
using InFlight = std::map<std::string, std::shared_ptr<Shared<void>>>;

struct Puller::Impl {
  Impl(Ring& on_ring, ContentStore& blobs, ImageStore& records, LayerStore& trees, Log& to,
       PullOptions how);

  // pull.cc: the recipe.
  Task<PullResult> pull(PullRequest request);
  Task<PullResult> run(JobPtr job);
  Task<PullResult> run_steps(JobPtr job);
  Task<bool> add_if_present(JobPtr job, oci::Digest root, PullResult& result);
  Task<std::string> fetch_documents(JobPtr job, const Resolved& resolved);
  Task<void> get_layers(JobPtr job);
  Task<void> find_missing(JobPtr job);
  Task<void> extract_missing(JobPtr job);
  Task<std::string> record(JobPtr job, const Resolved& resolved, std::string config_json);

  // pull_layers.cc: each blob and each chain id once.
  Task<void> join(InFlight& table, std::string key, std::function<Task<void>()> start);
  Task<void> drive(InFlight& table, std::string key, Task<void> work);
  Task<void> ensure_document(Resolved::Document document);
  Task<void> put_document(Resolved::Document document);
  Task<void> ensure_config(JobPtr job, oci::Descriptor blob);
  Task<void> fetch_config(JobPtr job, oci::Descriptor blob);
  Task<void> ensure_blob(JobPtr job, std::size_t index);
  Task<void> fetch_layer(JobPtr job, std::size_t index);
  Task<void> ensure_layer(JobPtr job, std::size_t index);
  Task<void> extract_layer(JobPtr job, std::size_t index);
  void start_fetchers(JobPtr job);
  Task<void> fetcher(JobPtr job);

  // sweep.cc
  Task<void> sweep();
  Task<void> sweep_now();
  Task<void> sweep_layers();
  Status sweep_blobs();

  void job_started(const JobPtr& job);
  void job_ended(const JobPtr& job);

  Ring& ring;
  ContentStore& content;
  ImageStore& images;
  LayerStore& layers;
  Log& log;
  PullOptions options;
  CurlTransport transport;
  OffloadPool pool;
  Scope scope;

  InFlight blobs_in_flight;
  InFlight chains_in_flight;
  mutable std::mutex jobs_mutex;  // progress() reads on other threads
  std::list<JobPtr> jobs;
  // Pulls and sweeps exclude each other: a sweep takes away what no *record* needs.
  bool sweeping = false;
  bool sweep_wanted = false;
  Event sweep_ended;
  bool closing = false;
};

}  // namespace berth::image
