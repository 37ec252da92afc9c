// SPDX-License-Identifier: Apache-2.0
// Taking away what no image needs. Records decide: a blob or layer that no record names is left
// over from a pull that failed or was killed, or from an image that was removed.
#include <set>

#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

constexpr std::int64_t kPartialAgeMaxS = 24 * 3600;

void forget_layers(const std::vector<ImageEntry>& all, std::set<std::string>& needed) {
  for (const ImageEntry& entry : all) {
    if (entry.image->is_artifact()) continue;
    for (const LayerInfo& layer : entry.image->layers) needed.erase(layer.digest.text());
    for (const auto& [name, image] : entry.manifests) {
      for (const LayerInfo& layer : image->layers) needed.erase(layer.digest.text());
    }
  }
}

}  // namespace

Task<void> Puller::Impl::sweep() {
  while (sweeping) co_await sweep_ended.wait();
  const bool lost = files_lost;
  // On lost files, which go with their images, running pulls may be built.
  sweep_wanted = holds_of_everything > 0 || (lost && !jobs.empty());
  if (sweep_wanted) co_return;
  // What is held now.
  sweep_after_holds = holds > 0;
  sweeping = true;
  sweep_ended.reset();
  Result<void> outcome = co_await shield(sweep_now(lost)).result();
  sweeping = false;
  sweep_ended.set();
  settle_soon();  // what a killed agent left to do
  co_await std::move(outcome);
}

// A step that fails does not keep the others from giving back what they can; the first error tells.
Task<void> Puller::Impl::sweep_now(bool lost) {
  // Lost files are nobody's: who reads them must not, and a later pull must not trust them.
  const std::set<std::string> claimed = lost ? std::set<std::string>() : claims.all();
  // Else what is unfinished may be a running pull's.
  const bool alone = jobs.empty();
  Result<void> aborted;
  if (alone) aborted = co_await layers.abort_unfinished().result();
  Result<void> dropped;
  if (lost) {
    const auto remove = [this] { return remove_unsettled(); };
    dropped = co_await offload(pool, remove).result();
  }
  // Blobs first: on a full disk, taking away a layer's record may need the room that they give.
  const auto blobs = [this, &claimed, alone] { return sweep_blobs(claimed, alone); };
  Result<void> blobs_swept = co_await offload(pool, blobs).result();
  Result<void> layers_swept = co_await sweep_layers(claimed).result();
  co_await std::move(aborted);
  co_await std::move(dropped);
  co_await std::move(blobs_swept);
  co_await std::move(layers_swept);
}

// A layer can go only after those built on it. The store knows the order, we do not: what refuses
// is tried again as long as something goes.
Task<void> Puller::Impl::sweep_layers(const std::set<std::string>& claimed) {
  std::set<std::string> needed = claimed;
  for (const ImageEntry& entry : images.list()) {
    needed.insert(entry.image->chain_ids.begin(), entry.image->chain_ids.end());
  }
  std::vector<std::string> rest;
  std::vector<std::string> all = co_await layers.list();
  for (std::string& chain_id : all) {
    if (needed.count(chain_id) == 0) rest.push_back(std::move(chain_id));
  }
  bool going = true;
  while (going && !rest.empty()) {
    going = false;
    std::vector<std::string> refused;
    for (const std::string& chain_id : rest) {
      Result<void> removed = co_await layers.remove(chain_id).result();
      if (removed.ok()) {
        going = true;
      } else if (removed.error().is(Errc::failed_precondition)) {
        refused.push_back(chain_id);
      } else if (!removed.error().is(Errc::not_found)) {
        log.warn("image", "remove layer " + chain_id + ": " + removed.error().message());
      }
    }
    rest = std::move(refused);
  }
}

Status Puller::Impl::sweep_blobs(const std::set<std::string>& claimed, bool alone) {
  std::set<std::string> needed;
  for (const ImageEntry& entry : images.list()) {
    for (const oci::Digest& digest : needed_blobs(entry)) needed.insert(digest.text());
  }
  if (!options.keep_layer_blobs) forget_layers(images.list(), needed);
  needed.insert(claimed.begin(), claimed.end());
  TRY(const std::vector<BlobInfo> blobs, content.list());
  for (const BlobInfo& blob : blobs) {
    if (needed.count(blob.digest.text()) == 0) TRY_(content.remove(blob.digest));
  }
  if (!alone) return {};
  // Partial files of a killed pull are worth keeping for the pull that comes next.
  return content.sweep_ingests(kPartialAgeMaxS);
}

}  // namespace berth::image
