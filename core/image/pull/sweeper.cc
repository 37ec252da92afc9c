// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/sweeper.h"

#include <utility>

namespace berth::image {
namespace {

constexpr std::int64_t kPartialAgeMaxS = 24 * 3600;

// With keep_layer_blobs off, the layer blobs of an image are not needed once it is extracted.
void erase_layer_blobs(const std::vector<ImageEntry>& all, std::set<std::string>& needed) {
  for (const ImageEntry& entry : all) {
    if (entry.image->is_artifact()) continue;
    for (const LayerInfo& layer : entry.image->layers) needed.erase(layer.digest.text());
    for (const auto& [name, image] : entry.manifests) {
      for (const LayerInfo& layer : image->layers) needed.erase(layer.digest.text());
    }
  }
}

}  // namespace

Task<void> Sweeper::wait() {
  while (running_) co_await ended_.wait();
}

Task<void> Sweeper::sweep() {
  co_await wait();
  const bool lost = durability_.files_lost();
  requested_ = leased_everything_ > 0 || (lost && !pulls_.empty());
  if (requested_) co_return;
  after_leases_ = leased_ > 0;
  running_ = true;
  ended_.reset();
  Result<void> outcome = co_await shield(run(lost)).result();
  running_ = false;
  ended_.set();
  durability_.start();  // images that an agent before this one left unsynced
  co_await std::move(outcome);
}

Task<void> Sweeper::sweep_logged() {
  Result<void> swept = co_await sweep().result();
  if (!swept.ok()) context_.log.warn("image", "sweep: " + swept.error().message());
}

// A step that fails does not keep the others from removing what they can; the first error is
// returned.
Task<void> Sweeper::run(bool lost) {
  // Lost files must not be read any more, and a later pull must not find them.
  const std::set<std::string> leased = lost ? std::set<std::string>() : leases_.all();
  // With pulls running, an unfinished layer may be theirs.
  const bool alone = pulls_.empty();
  Result<void> aborted;
  if (alone) aborted = co_await context_.layers.abort_unfinished().result();
  Result<void> dropped;
  if (lost) {
    const auto drop = [this] { return durability_.drop_unsynced(); };
    dropped = co_await offload(context_.pool, drop).result();
  }
  // Blobs first: on a full disk, removing a layer's record may need the space that they free.
  const auto blobs = [this, &leased, alone] { return remove_blobs(leased, alone); };
  Result<void> blobs_removed = co_await offload(context_.pool, blobs).result();
  Result<void> layers_removed = co_await remove_layers(leased).result();
  co_await std::move(aborted);
  co_await std::move(dropped);
  co_await std::move(blobs_removed);
  co_await std::move(layers_removed);
}

// A layer can be removed only after the layers built on it. Only the store knows that order, so the
// refused ones are tried again as long as one of them goes.
Task<void> Sweeper::remove_layers(const std::set<std::string>& leased) {
  std::set<std::string> needed = leased;
  for (const ImageEntry& entry : context_.images.list()) {
    needed.insert(entry.image->chain_ids.begin(), entry.image->chain_ids.end());
  }
  std::vector<std::string> rest;
  std::vector<std::string> all = co_await context_.layers.list();
  for (std::string& chain_id : all) {
    if (needed.count(chain_id) == 0) rest.push_back(std::move(chain_id));
  }
  bool progress = true;
  while (progress && !rest.empty()) {
    progress = false;
    std::vector<std::string> refused;
    for (const std::string& chain_id : rest) {
      Result<void> removed = co_await context_.layers.remove(chain_id).result();
      if (removed.ok()) {
        progress = true;
      } else if (removed.error().is(Errc::failed_precondition)) {
        refused.push_back(chain_id);
      } else if (!removed.error().is(Errc::not_found)) {
        context_.log.warn("image", "remove layer " + chain_id + ": " + removed.error().message());
      }
    }
    rest = std::move(refused);
  }
}

Status Sweeper::remove_blobs(const std::set<std::string>& leased, bool alone) {
  std::set<std::string> needed;
  for (const ImageEntry& entry : context_.images.list()) {
    for (const oci::Digest& digest : needed_blobs(entry)) needed.insert(digest.text());
  }
  if (!context_.options.keep_layer_blobs) erase_layer_blobs(context_.images.list(), needed);
  needed.insert(leased.begin(), leased.end());
  TRY(const std::vector<BlobInfo> blobs, context_.content.list());
  for (const BlobInfo& blob : blobs) {
    if (needed.count(blob.digest.text()) == 0) TRY_(context_.content.remove(blob.digest));
  }
  if (!alone) return {};
  // Partial files of a killed pull are kept for the next pull of the same blob.
  return context_.content.sweep_ingests(kPartialAgeMaxS);
}

Task<void> Sweeper::lease(JobPtr job, std::vector<std::string> keys) {
  co_await under(job->transfers, wait());
  // The wait above may end without a suspension and so not notice the cancellation.
  if (job->transfers.cancelled()) co_await fail(Errc::cancelled, "cancelled");
  for (std::string& key : keys) job->lease.add(std::move(key));
}

void Sweeper::add_lease(bool everything) noexcept {
  ++leased_;
  if (everything) ++leased_everything_;
}

void Sweeper::remove_lease(bool everything) {
  --leased_;
  if (everything) --leased_everything_;
  const bool due = (requested_ && leased_everything_ == 0) || (after_leases_ && leased_ == 0);
  if (due && !context_.closing) context_.scope.spawn(sweep());
}

}  // namespace berth::image
