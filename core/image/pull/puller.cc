// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/puller.h"

#include <functional>
#include <utility>

#include "core/image/pull/context.h"
#include "core/image/pull/downloads.h"
#include "core/image/pull/durability.h"
#include "core/image/pull/job.h"
#include "core/image/pull/plan.h"
#include "core/image/pull/recorder.h"
#include "core/image/pull/sweeper.h"
#include "core/image/pull/workers.h"
#include "core/image/registry/client.h"

namespace berth::image {
namespace {

// OCI image-spec 1.1, manifest.md: the configuration of an artifact that has none.
constexpr std::string_view kEmptyDocument = "{}";

}  // namespace

// The recipe of a pull, over the parts.
struct Puller::Impl {
  Impl(Ring& ring, ContentStore& content, ImageStore& images, LayerStore& layers, Log& log,
       PullOptions options)
      : registries(ring, log, options.registry),
        context(ring, content, images, layers, log, std::move(options)),
        durability(context, [this] { return lose_files(); }),
        sweeper(context, leases, pulls, durability),
        recorder(context, sweeper, durability),
        downloads(context),
        workers(context, downloads) {}

  Task<PullResult> pull(PullRequest request);
  Task<PullResult> pull_one(PullRequest request, oci::Reference reference);
  Task<PullResult> add_local(LocalImage image);
  Task<PullResult> start(JobPtr job);
  Task<PullResult> run(JobPtr job);
  Task<PullResult> run_remote(JobPtr job);
  Task<PullResult> run_local(JobPtr job);
  Task<void> fetch_documents(JobPtr job, const Resolved& resolved);
  Task<std::string> get_layers(JobPtr job, const Resolved& resolved);
  Task<std::string> record(JobPtr job, const Resolved& resolved, std::string config_json);
  Task<bool> remove(ImageName name);
  Task<void> lose_files();

  RegistryClient registries;
  PullContext context;
  Leases leases;  // outlives the jobs
  RunningPulls pulls;
  Durability durability;
  Sweeper sweeper;
  Recorder recorder;
  Downloads downloads;
  Workers workers;
};

// A short name may stand for several images: the first one that exists.
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
  co_await sweeper.wait();
  // A pull must not build on lost files.
  if (durability.files_lost()) co_await sweeper.sweep();
  if (context.closing) co_await fail(Errc::unavailable, "shutting down");
  auto job = std::make_shared<Job>(std::move(request), std::move(reference));
  job->host_budget = downloads.host_budget(job->reference.domain);
  PullResult result = co_await start(job);
  co_return result;
}

Task<PullResult> Puller::Impl::add_local(LocalImage image) {
  co_await sweeper.wait();
  if (context.closing) co_await fail(Errc::unavailable, "shutting down");
  oci::Reference reference = image.references.empty() ? oci::Reference{} : image.references.front();
  auto job = std::make_shared<Job>(PullRequest{}, std::move(reference));
  job->local = std::move(image);
  PullResult result = co_await start(job);
  co_return result;
}

// The job runs in a task of its own. When the caller is cancelled, the job fails, removes in order
// what it made, and leaves what other pulls need.
Task<PullResult> Puller::Impl::start(JobPtr job) {
  if (job->request.watch != nullptr) job->request.watch->job_ = job;
  job->lease = Leases::Lease(leases);
  auto attempt = Shared<PullResult>::start(context.scope, run(job));
  pulls.add(job);
  Result<PullResult> result = co_await attempt->wait().result();
  if (!attempt->ended()) job->fail(make_error(Errc::cancelled, "the caller went away"));
  co_return result;
}

Task<PullResult> Puller::Impl::run(JobPtr job) {
  Task<PullResult> steps = job->local.has_value() ? run_local(job) : run_remote(job);
  Result<PullResult> outcome = co_await std::move(steps).result();
  if (!outcome.ok()) {
    job->cancel();
    sweeper.request();
  }
  if (job->workers > 0) co_await job->workers_ended.wait();
  pulls.remove(job);
  job->lease.clear();
  // A failed sweep does not change the pull's outcome.
  if (sweeper.requested() && !context.closing) co_await sweeper.sweep_logged();
  if (!outcome.ok()) {
    Error error = std::move(outcome).error();
    co_return std::move(error).with("pull " + job->reference.text());
  }
  co_return outcome;
}

// Crash safety: blobs and layers first, the record that makes them an image last. What a crash
// before the record leaves is removed by sweep() at the next start.
Task<PullResult> Puller::Impl::run_remote(JobPtr job) {
  job->session = co_await registries.open(job->reference, job->request.auth, Access::pull);
  const std::string name = job->reference.manifest_name();
  RemoteDocument head = co_await under(job->transfers, job->session->head_manifest(name));
  // A registry without digests in its headers gives the digest only with the document.
  const oci::Digest root = job->reference.digest.empty() ? head.digest : job->reference.digest;
  std::optional<std::string> present = co_await recorder.add_if_present(job, root);
  PullResult result;
  if (present.has_value()) {
    result.image_id = *std::move(present);
    result.root_digest = root;
    co_return result;
  }

  const Resolved resolved =
      co_await under(job->transfers, resolve_remote(*job->session, root, job->request.platform));
  co_await check_sizes(resolved.manifest, context.options.layer_size_max);
  co_await sweeper.lease(job, blobs_of(resolved));
  co_await fetch_documents(job, resolved);
  std::string config_json = co_await get_layers(job, resolved);
  result.image_id = co_await record(job, resolved, std::move(config_json));
  result.root_digest = resolved.root_digest;
  result.pulled_bytes = job->transferred;
  co_return result;
}

// The same without a registry. Every reference is one more record of the same image.
Task<PullResult> Puller::Impl::run_local(JobPtr job) {
  const Resolved resolved =
      co_await resolve_local(context.pool, context.content, job->local->manifest_digest);
  co_await check_sizes(resolved.manifest, context.options.layer_size_max);
  co_await sweeper.lease(job, blobs_of(resolved));
  std::string config_json;
  if (!oci::is_artifact(resolved.manifest)) config_json = co_await get_layers(job, resolved);
  PullResult result;
  result.root_digest = resolved.root_digest;
  std::vector<oci::Reference> names = job->local->references;
  if (names.empty()) names.emplace_back();
  for (const oci::Reference& name : names) {
    job->reference = name;
    result.image_id = co_await record(job, resolved, config_json);
  }
  co_return result;
}

// Index, manifest and configuration into the content store.
Task<void> Puller::Impl::fetch_documents(JobPtr job, const Resolved& resolved) {
  for (const Resolved::Document& document : resolved.documents) {
    Resolved::Document copy = document;
    co_await downloads.put_document(job, std::move(copy));
  }
  const oci::Descriptor config = resolved.manifest.config;
  // Not every registry has been given the empty document.
  if (oci::is_artifact(resolved.manifest) && config.digest == oci::digest_of(kEmptyDocument)) {
    Resolved::Document empty{config.digest, std::string(kEmptyDocument)};
    co_await downloads.put_document(job, std::move(empty));
    co_return;
  }
  co_await downloads.fetch_config(job, config);
}

// Fetches what is missing, and extracts and commits it if this is an image. The result is the
// configuration of the image, which is in the content store; empty for an artifact.
Task<std::string> Puller::Impl::get_layers(JobPtr job, const Resolved& resolved) {
  std::string json;
  if (oci::is_artifact(resolved.manifest)) {
    plan_artifact(*job, resolved.manifest);
    co_await workers.run(job);
    for (const auto& layer : job->layers) layer->stage = LayerProgress::Stage::done;
    co_return json;
  }
  const auto read_config = [this, &resolved] {
    return context.content.read(resolved.manifest.config.digest, oci::kDocumentSizeMax);
  };
  json = co_await offload(context.pool, read_config);
  const oci::Image config = co_await oci::parse_image(json);
  co_await check_layers(resolved.manifest, config);
  std::vector<std::string> keys;
  for (const oci::Digest& chain_id : oci::chain_ids(config.diff_ids)) {
    keys.push_back(chain_id.text());
  }
  co_await sweeper.lease(job, std::move(keys));
  plan_layers(*job, resolved.manifest, config);
  co_await find_missing(context, job);
  co_await workers.run(job);
  co_return json;
}

Task<std::string> Puller::Impl::record(JobPtr job, const Resolved& resolved,
                                       std::string config_json) {
  Task<std::string> adding = oci::is_artifact(resolved.manifest)
                                 ? recorder.add_artifact(job, resolved)
                                 : recorder.add_image(job, resolved, std::move(config_json));
  std::string id = co_await std::move(adding);
  co_return id;
}

Task<bool> Puller::Impl::remove(ImageName name) {
  const auto remove_record = [this, &name] { return context.images.remove(name); };
  const bool removed = co_await offload(context.pool, remove_record);
  // The image is gone even if its bytes cannot be removed now.
  if (removed) co_await sweeper.sweep_logged();
  co_return removed;
}

// Running pulls may have stored files that are lost too. Once they have ended, the sweep removes
// the images whose files are lost.
Task<void> Puller::Impl::lose_files() {
  pulls.fail_all(make_error(Errc::unavailable, "the disk lost files that were just written"));
  return sweeper.sweep_logged();
}

Puller::Puller(Ring& ring, ContentStore& content, ImageStore& images, LayerStore& layers, Log& log,
               PullOptions options)
    : impl_(std::make_unique<Impl>(ring, content, images, layers, log, std::move(options))) {}

Puller::~Puller() = default;

Task<PullResult> Puller::pull(PullRequest request) {
  return impl_->pull(std::move(request));
}

Task<PullResult> Puller::add_local(LocalImage image) {
  return impl_->add_local(std::move(image));
}

Task<bool> Puller::remove(ImageName name) {
  return impl_->remove(std::move(name));
}

Task<void> Puller::sweep() {
  return impl_->sweeper.sweep();
}

Task<void> Puller::synced() {
  return impl_->durability.wait();
}

Task<Puller::Lease> Puller::lease(std::vector<ImageEntry> images) {
  co_await impl_->sweeper.wait();
  Lease lease(*this, false);
  lease.keys_ = Leases::Lease(impl_->leases);
  for (const ImageEntry& image : images) {
    for (const oci::Digest& digest : needed_blobs(image)) lease.keys_.add(digest.text());
  }
  co_return lease;
}

Task<Puller::Lease> Puller::lease_everything() {
  co_await impl_->sweeper.wait();
  co_return Lease(*this, true);
}

Puller::Lease::Lease(Puller& puller, bool everything) : puller_(&puller), everything_(everything) {
  puller.impl_->sweeper.add_lease(everything);
}

Puller::Lease::~Lease() {
  if (puller_ == nullptr) return;
  keys_.clear();
  puller_->impl_->sweeper.remove_lease(everything_);
}

void Puller::Lease::sweep_afterwards() noexcept {
  puller_->impl_->sweeper.request();
}

RegistryClient& Puller::registries() {
  return impl_->registries;
}

Task<void> Puller::close() {
  impl_->context.closing = true;
  impl_->pulls.cancel_all();
  co_await impl_->context.scope.close();
}

}  // namespace berth::image
