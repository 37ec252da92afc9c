// SPDX-License-Identifier: Apache-2.0
// The Puller's inside: what runs, and who waits for whom. Private to this room.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <set>

#include "core/image/pull/budget.h"
#include "core/image/pull/job.h"
#include "core/image/registry/client.h"
#include "core/ring/offload.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "core/task/shared.h"

namespace berth::image {

// kFetchBuffer, libcurl's buffers, and what a fetch holds beside them.
constexpr std::size_t kFetchMemory = 1u << 20;

using JobPtr = std::shared_ptr<Job>;
// Work in progress, and how many pulls want it: the last to lose interest ends it.
struct Flight {
  std::shared_ptr<Shared<void>> attempt;
  CancelContext cancel;
  unsigned waiters = 0;
};
// What one fetch holds.
struct FetchShares {
  Budget::Share of_host;
  Budget::Share of_all;
};
// By digest or chain id; whoever wants the same waits for it.
using InFlight = std::map<std::string, std::shared_ptr<Flight>>;

// How many stages of one extraction still run.
struct StageCount {
  unsigned running = 0;
  Event ended;
};

struct Puller::Impl {
  Impl(Ring& on_ring, ContentStore& blobs, ImageStore& records, LayerStore& trees, Log& to,
       PullOptions how);

  // pull.cc: the recipe.
  Task<PullResult> pull(PullRequest request);
  Task<PullResult> pull_one(PullRequest request, oci::Reference reference);
  Task<PullResult> run(JobPtr job);
  Task<PullResult> start(JobPtr job);
  Task<PullResult> run_steps(JobPtr job);
  Task<bool> add_if_present(JobPtr job, oci::Digest root, PullResult& result);
  Task<void> claim(JobPtr job, std::vector<std::string> keys);
  Task<std::string> fetch_documents(JobPtr job, const Resolved& resolved);
  Task<void> get_layers(JobPtr job);
  Task<void> find_missing(JobPtr job);
  Task<std::string> plan_layers(JobPtr job, const Resolved& resolved);
  Task<std::string> record(JobPtr job, const Resolved& resolved, std::string config_json);

  // pull_local.cc: artifacts, and images whose blobs are here already.
  Task<std::string> get_artifact(JobPtr job, const Resolved& resolved);
  Task<std::string> record_artifact(JobPtr job, const Resolved& resolved);
  Task<bool> has_layer_blobs(const CachedImage& image);
  Task<PullResult> run_local(JobPtr job);
  Task<Resolved> resolve_local(oci::Digest manifest);
  void release_hold(bool everything);
  Task<void> no_sweep();

  // pull_layers.cc: each blob and each chain id once.
  Task<void> join(JobPtr job, InFlight& table, std::string key, std::function<Task<void>()> start);
  Task<void> join_fetch(JobPtr job, std::string key, std::function<Task<void>()> start);
  Task<void> wait_for(JobPtr job, std::shared_ptr<Flight> flight);
  std::shared_ptr<Flight> begin(InFlight& table, std::string key,
                                std::function<Task<void>()> start);
  Task<void> drive(InFlight& table, std::string key, std::shared_ptr<Flight> flight,
                   Task<void> work);
  Task<void> ensure_document(JobPtr job, Resolved::Document document);
  Task<void> put_document(Resolved::Document document);
  void join_line_of_host(Job& job);
  Task<FetchShares> take_fetch_shares(JobPtr job);
  Task<void> ensure_config(JobPtr job, oci::Descriptor blob);
  Task<void> fetch_config(JobPtr job, oci::Descriptor blob);
  Task<void> ensure_blob(JobPtr job, std::size_t index);
  Task<void> fetch_layer(JobPtr job, std::size_t index);
  Task<void> ensure_layer(JobPtr job, std::size_t index);
  Task<void> extract_layer(JobPtr job, std::size_t index);

  // pull_extract.cc: one layer from its bytes to a directory.
  struct Attempt;
  Task<ExtractedLayer> extract(JobPtr job, std::size_t index);
  Task<ExtractedLayer> extract_once(JobPtr job, std::size_t index, Attempt& attempt);
  Task<ExtractedLayer> run_stages(std::shared_ptr<ExtractStages> stages);
  Task<void> run_stage(std::shared_ptr<ExtractStages> stages, void (ExtractStages::*stage)(),
                       StageCount& count);
  static Task<void> stages_ended(StageCount& count);
  Task<void> abort_layer(std::string chain_id);
  void start_workers(JobPtr job);
  void worker_ended(const JobPtr& job);
  void fail_job(Job& job, Error error);
  Task<void> fetcher(JobPtr job);
  Task<void> extractor(JobPtr job, std::size_t index);

  // settle.cc: what was pulled is put on disk.
  void settle_soon();
  Task<void> settle();
  Task<void> give_up_unsettled();
  Status remove_unsettled();
  Status put_on_disk(const std::vector<ImageStore::Mark>& marks);
  Status sync_stored(const Job& job, const Resolved& resolved);
  Status note_loss(Status synced);

  // sweep.cc
  Task<void> sweep();
  Task<void> sweep_now(bool lost);
  Task<void> sweep_layers(const std::set<std::string>& claimed);
  Status sweep_blobs(const std::set<std::string>& claimed, bool alone);

  void job_started(const JobPtr& job);
  void job_ended(const JobPtr& job);

  Ring& ring;
  ContentStore& content;
  ImageStore& images;
  LayerStore& layers;
  Log& log;
  PullOptions options;
  Claims claims;  // outlives the jobs
  RegistryClient registries;
  OffloadPool pool;
  Scope scope;

  Budget fetch_budget;
  Budget extract_budget;
  // Of extract_budget, for those who follow a blob while it comes: how long they hold their share
  // is up to the registry.
  Budget follow_budget;
  InFlight blobs_in_flight;
  std::map<std::string, std::shared_ptr<Arrival>> arrivals;  // of blobs_in_flight
  InFlight chains_in_flight;
  std::list<JobPtr> jobs;
  // A sweep takes away what neither a record nor a claim needs; nothing is claimed while it is at
  // work, since what is found to be there must stay.
  bool sweeping = false;
  bool sweep_wanted = false;       // when the last job or hold of everything ends
  bool sweep_after_holds = false;  // when the last hold ends
  unsigned holds = 0;
  unsigned holds_of_everything = 0;
  bool settling = false;
  Event settle_ended;
  std::atomic<bool> files_lost{false};  // of unsettled images
  Event sweep_ended;
  std::atomic<bool> closing{false};
};

}  // namespace berth::image
