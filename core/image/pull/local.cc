// SPDX-License-Identifier: Apache-2.0
// What is no pull of an image from a registry: artifacts, whose blobs are kept and not unpacked;
// images whose blobs are here already; holds; and watching.
#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

// OCI image-spec 1.1, manifest.md: the configuration of what has none.
constexpr std::string_view kEmptyDocument = "{}";

}  // namespace

Task<std::string> Puller::Impl::get_artifact(JobPtr job, const Resolved& resolved) {
  for (const Resolved::Document& document : resolved.documents) {
    Resolved::Document copy = document;
    co_await ensure_document(job, std::move(copy));
  }
  // Not every registry has been given the empty document.
  const oci::Descriptor config = resolved.manifest.config;
  if (config.digest == oci::digest_of(kEmptyDocument)) {
    Resolved::Document empty{config.digest, std::string(kEmptyDocument)};
    co_await ensure_document(job, std::move(empty));
  } else {
    co_await ensure_config(job, config);
  }
  for (const oci::Descriptor& blob : resolved.manifest.layers) {
    auto layer = std::make_unique<LayerJob>();
    layer->blob = blob;
    job->layers.push_back(std::move(layer));
  }
  job->layers_known = true;
  start_workers(job);
  if (job->workers > 0) co_await job->workers_ended.wait();
  if (job->failure.has_value()) {
    Error error = *job->failure;
    co_await fail(std::move(error));
  }
  for (const auto& layer : job->layers) layer->stage = LayerProgress::Stage::done;
  std::string id = co_await record_artifact(job, resolved);
  co_return id;
}

Task<std::string> Puller::Impl::record_artifact(JobPtr job, const Resolved& resolved) {
  NewArtifact artifact{job->reference, resolved.manifest_digest, resolved.root_digest,
                       resolved.documents.back().bytes,
                       options.durable ? Settling::later : Settling::done};
  artifact.sync = [this, &job, &resolved] { return sync_stored(*job, resolved); };
  const auto write_record = [this, &artifact] { return images.add_artifact(artifact); };
  std::string id = co_await offload(pool, write_record);
  settle_soon();
  co_return id;
}

Task<bool> Puller::Impl::has_layer_blobs(const CachedImage& image) {
  const auto look = [this, &image]() -> Result<bool> {
    for (const LayerInfo& layer : image.layers) {
      TRY(const std::optional<std::uint64_t> size, content.size(layer.digest));
      if (!size.has_value()) return false;
    }
    return true;
  };
  const bool whole = co_await offload(pool, look);
  co_return whole;
}

Task<PullResult> Puller::add_local(LocalImage image) {
  Impl& impl = *impl_;
  co_await impl.no_sweep();
  if (impl.closing) co_await fail(Errc::unavailable, "shutting down");
  oci::Reference reference = image.references.empty() ? oci::Reference{} : image.references.front();
  auto job = std::make_shared<Job>(PullRequest{}, std::move(reference));
  job->local = std::move(image);
  PullResult result = co_await impl.start(job);
  co_return result;
}

Task<Resolved> Puller::Impl::resolve_local(oci::Digest manifest) {
  const auto read = [this, &manifest] { return content.read(manifest, oci::kDocumentSizeMax); };
  std::string bytes = co_await offload(pool, read);
  Resolved resolved;
  resolved.root_digest = manifest;
  resolved.manifest_digest = manifest;
  resolved.manifest = co_await oci::parse_manifest(bytes);
  Resolved::Document document{manifest, std::move(bytes)};
  resolved.documents.push_back(std::move(document));
  co_await check_manifest(resolved.manifest);
  co_await check_sizes(resolved.manifest, options.layer_size_max);
  co_return resolved;
}

// Every name is one more record of what the first made.
Task<PullResult> Puller::Impl::run_local(JobPtr job) {
  const Resolved resolved = co_await resolve_local(job->local->manifest_digest);
  std::vector<std::string> keys = blobs_of(resolved);
  co_await claim(job, std::move(keys));
  const bool artifact = oci::is_artifact(resolved.manifest);
  std::string config_json;
  if (!artifact) {
    config_json = co_await plan_layers(job, resolved);
    co_await get_layers(job);
  }
  PullResult result;
  result.root_digest = resolved.root_digest;
  std::vector<oci::Reference> names = job->local->references;
  if (names.empty()) names.emplace_back();
  for (const oci::Reference& name : names) {
    job->reference = name;
    if (artifact) {
      result.image_id = co_await record_artifact(job, resolved);
    } else {
      result.image_id = co_await record(job, resolved, config_json);
    }
  }
  co_return result;
}

Task<void> Puller::Impl::no_sweep() {
  while (sweeping) co_await sweep_ended.wait();
}

Task<void> Puller::Impl::claim(JobPtr job, std::vector<std::string> keys) {
  co_await under(job->transfers, no_sweep());
  // Told while it waited for nothing, it holds nothing any more.
  if (job->transfers.cancelled()) co_await fail(Errc::cancelled, "given up");
  for (std::string& key : keys) job->claim.add(std::move(key));
}

Task<Puller::Hold> Puller::hold(std::vector<ImageEntry> images) {
  co_await impl_->no_sweep();
  Hold hold(*this);
  ++impl_->holds;
  hold.claim_ = Claims::Claim(impl_->claims);
  for (const ImageEntry& image : images) {
    for (const oci::Digest& digest : needed_blobs(image)) hold.claim_.add(digest.text());
  }
  co_return hold;
}

Task<Puller::Hold> Puller::hold() {
  co_await impl_->no_sweep();
  Hold hold(*this);
  hold.everything_ = true;
  ++impl_->holds;
  ++impl_->holds_of_everything;
  co_return hold;
}

Puller::Hold::~Hold() {
  if (puller_ == nullptr) return;
  claim_.clear();
  puller_->impl_->release_hold(everything_);
}

void Puller::Hold::sweep_afterwards() noexcept {
  puller_->impl_->sweep_wanted = true;
}

void Puller::Impl::release_hold(bool everything) {
  --holds;
  if (everything) --holds_of_everything;
  const bool wanted =
      (sweep_wanted && holds_of_everything == 0) || (sweep_after_holds && holds == 0);
  if (wanted && !closing) scope.spawn(sweep());
}

std::vector<LayerProgress> PullWatch::layers() const {
  const std::shared_ptr<Job> job = job_.lock();
  std::vector<LayerProgress> all;
  if (job == nullptr || !job->layers_known) return all;
  for (const auto& layer : job->layers) {
    all.push_back({layer->blob.digest, layer->blob.size, layer->fetched, layer->stage});
  }
  return all;
}

}  // namespace berth::image
