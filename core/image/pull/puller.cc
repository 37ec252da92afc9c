// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/puller.h"

#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

// Fetching gets a quarter of the memory: it goes on while every extraction waits for bytes.
std::size_t fetch_part(const PullOptions& options) {
  return options.memory_max / 4;
}
std::size_t extract_part(const PullOptions& options) {
  return options.memory_max - fetch_part(options);
}

// So that two layers of zstd with a usual window can be followed, and one more unpacked meanwhile.
std::size_t follow_part(const PullOptions& options) {
  return extract_part(options) / 3 * 2;
}
// However many pulls ask one slow registry, some fetches are left for the others.
std::size_t host_part(const PullOptions& options) {
  return fetch_part(options) / 4 * 3;
}

// One for each fetch, three for each extraction, which must all run for one of them to go on, and
// some for short steps.
unsigned threads_max(const PullOptions& options) {
  constexpr std::size_t kShort = 4;
  const std::size_t fetches = fetch_part(options) / kFetchMemory + 1;
  const std::size_t extractions = extract_part(options) / ExtractStages::kMemory + 1;
  return static_cast<unsigned>(fetches + 3 * extractions + kShort);
}

}  // namespace

Puller::Impl::Impl(Ring& on_ring, ContentStore& blobs, ImageStore& records, LayerStore& trees,
                   Log& to, PullOptions how)
    : ring(on_ring),
      content(blobs),
      images(records),
      layers(trees),
      log(to),
      options(std::move(how)),
      registries(on_ring, to, options.registry),
      pool(ring, threads_max(options)),
      scope(ring.ready(), [this](Error error) { log.warn("image", error.message()); }),
      fetch_budget(fetch_part(options)),
      extract_budget(extract_part(options)),
      follow_budget(follow_part(options)) {}

// A short name may stand for several images: the first that there is.
Task<PullResult> Puller::Impl::pull(PullRequest request) {
  const std::vector<oci::Reference> names = co_await registries.candidates(request.reference);
  Result<PullResult> outcome = make_error(Errc::not_found, "no registry to ask");
  for (const oci::Reference& name : names) {
    outcome = co_await pull_one(request, name).result();
    const bool absent = !outcome.ok() && outcome.error().is(Errc::not_found);
    if (!absent) break;
  }
  co_return outcome;
}

Task<PullResult> Puller::Impl::pull_one(PullRequest request, oci::Reference reference) {
  co_await no_sweep();
  // Nothing is built on files that are lost.
  if (files_lost) co_await sweep();
  if (closing) {
    Error error = make_error(Errc::unavailable, "shutting down");
    co_await fail(std::move(error));
  }
  auto job = std::make_shared<Job>(std::move(request), std::move(reference));
  PullResult result = co_await start(job);
  co_return result;
}

Task<PullResult> Puller::Impl::start(JobPtr job) {
  if (job->request.watch != nullptr) job->request.watch->job_ = job;
  job->claim = Claims::Claim(claims);
  join_line_of_host(*job);
  // A caller that goes away is not torn out of the middle: the pull is told, takes back in order
  // what it made, and leaves what others want.
  auto attempt = Shared<PullResult>::start(scope, run(job));
  job_started(job);
  Result<PullResult> result = co_await attempt->wait().result();
  if (!attempt->ended()) fail_job(*job, make_error(Errc::cancelled, "the caller went away"));
  co_return result;
}

void Puller::Impl::job_started(const JobPtr& job) {
  jobs.push_back(job);
}

void Puller::Impl::join_line_of_host(Job& job) {
  if (job.local.has_value()) return;
  for (const JobPtr& other : jobs) {
    const bool same = other->reference.domain == job.reference.domain;
    if (same && other->host_budget != nullptr) job.host_budget = other->host_budget;
  }
  if (job.host_budget == nullptr) job.host_budget = std::make_shared<Budget>(host_part(options));
}

void Puller::Impl::job_ended(const JobPtr& job) {
  jobs.remove(job);
  job->claim.clear();
}

Task<PullResult> Puller::Impl::run(JobPtr job) {
  Task<PullResult> steps = job->local.has_value() ? run_local(job) : run_steps(job);
  Result<PullResult> outcome = co_await std::move(steps).result();
  if (!outcome.ok()) {
    job->stop.request_stop();
    job->transfers.cancel();
    sweep_wanted = true;
  }
  if (job->workers > 0) co_await job->workers_ended.wait();
  job_ended(job);
  if (sweep_wanted && !closing) {
    // The pull's outcome is what it is; what could not be given back is by the next sweep.
    Result<void> swept = co_await sweep().result();
    if (!swept.ok()) log.warn("image", "sweep: " + swept.error().message());
  }
  if (!outcome.ok()) {
    Error error = std::move(outcome).error();
    co_return std::move(error).with("pull " + job->reference.text());
  }
  co_return outcome;
}

// Crash safety: blobs and layers first, the record that makes them an image last. A crash before
// the record leaves what sweep() removes at the next start.
Task<PullResult> Puller::Impl::run_steps(JobPtr job) {
  PullResult result;
  job->session = co_await registries.open(job->reference, job->request.auth, Access::pull);
  const std::string name = job->reference.manifest_name();
  RemoteDocument head = co_await under(job->transfers, job->session->head_manifest(name));
  // A registry without digests in its headers tells with the document itself.
  const oci::Digest root = job->reference.digest.empty() ? head.digest : job->reference.digest;
  const bool present = co_await add_if_present(job, root, result);
  if (present) co_return result;

  Resolved resolved =
      co_await under(job->transfers, resolve_manifest(*job->session, root, job->request.platform));
  co_await check_sizes(resolved.manifest, options.layer_size_max);
  std::vector<std::string> keys = blobs_of(resolved);
  co_await claim(job, std::move(keys));
  std::string id;
  if (oci::is_artifact(resolved.manifest)) {
    id = co_await get_artifact(job, resolved);
  } else {
    std::string config_json = co_await fetch_documents(job, resolved);
    co_await get_layers(job);
    id = co_await record(job, resolved, std::move(config_json));
  }
  result.image_id = std::move(id);
  result.root_digest = resolved.root_digest;
  result.pulled_bytes = job->transferred;
  co_return result;
}

// An image that the registry's digest already stands for needs at most one more reference.
Task<bool> Puller::Impl::add_if_present(JobPtr job, oci::Digest root, PullResult& result) {
  if (root.empty()) co_return false;
  std::shared_ptr<const CachedImage> image;
  std::vector<std::string> keys;
  for (const ImageEntry& entry : images.list()) {
    const bool fits = entry.image->is_artifact() ||
                      oci::platform_matches(job->request.platform, entry.image->config.platform);
    for (const std::string& reference : entry.repo_digests) {
      if (!fits || !reference.ends_with("@" + root.text())) continue;
      image = entry.manifests.at(reference);
      keys = image->chain_ids;
      for (const oci::Digest& blob : needed_blobs(entry)) keys.push_back(blob.text());
    }
  }
  if (image == nullptr) co_return false;
  co_await claim(job, std::move(keys));
  // A sweep may have come before the claim.
  const ImageName by_id = named_by_id(image->id);
  const std::optional<ImageEntry> still = co_await images.find(by_id);
  if (!still.has_value()) co_return false;
  if (image->is_artifact()) {
    const bool whole = co_await has_layer_blobs(*image);
    if (!whole) co_return false;
    const auto add_again = [this, &job, &image, &root]() -> Result<std::string> {
      TRY(std::string manifest, content.read(image->manifest_digest, oci::kDocumentSizeMax));
      return images.add_artifact({job->reference, image->manifest_digest, root, std::move(manifest),
                                  options.durable ? Settling::later : Settling::done});
    };
    std::string id = co_await offload(pool, add_again);
    settle_soon();
    result.root_digest = root;
    result.image_id = std::move(id);
    co_return true;
  }
  if (!image->chain_ids.empty()) {
    const bool unpacked = co_await layers.has(image->chain_ids.back());
    if (!unpacked) co_return false;
  }
  if (options.keep_layer_blobs) {
    const bool whole = co_await has_layer_blobs(*image);
    if (!whole) co_return false;
  }
  NewImage again{job->reference, image->manifest_digest, root, image->config_json, image->layers};
  // Should it be removed just now, it comes again as one that may not be on disk.
  if (options.durable) again.settling = Settling::later;
  result.root_digest = root;
  const auto add_again = [this, again] { return images.add(again); };
  std::string id = co_await offload(pool, add_again);
  settle_soon();
  result.image_id = std::move(id);
  co_return true;
}

// Stores index, manifest and configuration.
Task<std::string> Puller::Impl::fetch_documents(JobPtr job, const Resolved& resolved) {
  for (const Resolved::Document& document : resolved.documents) {
    Resolved::Document copy = document;
    co_await ensure_document(job, std::move(copy));
  }
  co_await ensure_config(job, resolved.manifest.config);
  std::string json = co_await plan_layers(job, resolved);
  co_return json;
}

// Reads the configuration, which is there, and makes a LayerJob of each layer.
Task<std::string> Puller::Impl::plan_layers(JobPtr job, const Resolved& resolved) {
  const oci::Descriptor config_blob = resolved.manifest.config;
  const auto read_config = [this, config_blob] {
    return content.read(config_blob.digest, oci::kDocumentSizeMax);
  };
  std::string json = co_await offload(pool, read_config);
  const oci::Image config = co_await oci::parse_image(json);
  co_await check_layers(resolved.manifest, config);
  const std::vector<oci::Digest> chain = oci::chain_ids(config.diff_ids);
  std::vector<std::string> keys;
  for (const oci::Digest& chain_id : chain) keys.push_back(chain_id.text());
  co_await claim(job, std::move(keys));
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto layer = std::make_unique<LayerJob>();
    layer->blob = resolved.manifest.layers[i];
    layer->diff_id = config.diff_ids[i];
    layer->chain_id = chain[i].text();
    if (i > 0) layer->parent = chain[i - 1].text();
    job->layers.push_back(std::move(layer));
  }
  job->layers_known = true;
  co_return json;
}

Task<void> Puller::Impl::get_layers(JobPtr job) {
  co_await find_missing(job);
  start_workers(job);
  if (job->workers > 0) co_await job->workers_ended.wait();
  if (job->failure.has_value()) {
    Error error = *job->failure;
    co_await fail(std::move(error));
  }
}

// A chain id names everything below it too, so the highest one that is there ends the search.
Task<void> Puller::Impl::find_missing(JobPtr job) {
  std::size_t missing = job->layers.size();
  while (missing > 0) {
    const bool there = co_await layers.has(job->layers[missing - 1]->chain_id);
    if (there) break;
    --missing;
  }
  for (std::size_t i = 0; i < missing; ++i) {
    job->layers[i]->stage = LayerProgress::Stage::done;
    job->layers[i]->done_event.set();
  }
  job->first_missing = missing;
  if (missing == 0 || !options.keep_layer_blobs) co_return;
  // Push and save need the blobs also where another image's pull has unpacked the same layers.
  const auto find_blobs = [this, &job, missing]() -> Status {
    for (std::size_t i = 0; i < missing; ++i) {
      TRY(const std::optional<std::uint64_t> size, content.size(job->layers[i]->blob.digest));
      if (!size.has_value()) job->blobs_missing.push_back(i);
    }
    return {};
  };
  co_await offload(pool, find_blobs);
}

Task<std::string> Puller::Impl::record(JobPtr job, const Resolved& resolved,
                                       std::string config_json) {
  NewImage image{job->reference,
                 resolved.manifest_digest,
                 resolved.root_digest,
                 std::move(config_json),
                 {},
                 options.durable ? Settling::later : Settling::done};
  for (const auto& layer : job->layers) {
    image.layers.push_back({layer->blob.digest, layer->blob.size});
  }
  const bool unpacked = job->first_missing < job->layers.size();
  if (options.durable && unpacked) image.settling = Settling::again;
  image.sync = [this, &job, &resolved] { return sync_stored(*job, resolved); };
  const auto write_record = [this, &image] { return images.add(image); };
  std::string id = co_await offload(pool, write_record);
  settle_soon();
  if (!options.keep_layer_blobs) sweep_wanted = true;
  co_return id;
}

Puller::Puller(Ring& ring, ContentStore& content, ImageStore& images, LayerStore& layers, Log& log,
               PullOptions options)
    : impl_(std::make_unique<Impl>(ring, content, images, layers, log, std::move(options))) {}

Puller::~Puller() = default;

Task<PullResult> Puller::pull(PullRequest request) {
  return impl_->pull(std::move(request));
}

Task<void> Puller::sweep() {
  return impl_->sweep();
}

Task<bool> Puller::remove(ImageName name) {
  Impl& impl = *impl_;
  const auto remove_record = [&impl, name] { return impl.images.remove(name); };
  const bool removed = co_await offload(impl.pool, remove_record);
  if (removed) {
    // The image is gone; bytes that cannot be given back now are given back by the next sweep.
    Result<void> swept = co_await impl.sweep().result();
    if (!swept.ok()) impl.log.warn("image", "sweep: " + swept.error().message());
  }
  co_return removed;
}

RegistryClient& Puller::registries() {
  return impl_->registries;
}

Task<void> Puller::close() {
  impl_->closing = true;
  for (const JobPtr& job : impl_->jobs) {
    job->stop.request_stop();
    job->transfers.cancel();
  }
  co_await impl_->scope.close();
}

}  // namespace berth::image
