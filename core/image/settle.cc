// SPDX-License-Identifier: Apache-2.0
// Putting on disk what was pulled, behind the pull: each blob once, then the layers, then the mark
// goes (image_store.h, Settling). A pull that ends meanwhile is dealt with in the next round.
#include "core/image/pull_impl.h"

namespace berth::image {

void Puller::Impl::settle_soon() {
  if (settling || closing || !options.durable || images.unsettled().empty()) return;
  settling = scope.spawn(settle());
  if (settling) settle_ended.reset();
}

Task<void> Puller::Impl::settle() {
  Result<void> outcome;
  std::vector<std::string> ids = images.unsettled();
  while (outcome.ok() && !ids.empty() && !closing) {
    const auto work = [this, &ids] { return put_on_disk(ids); };
    outcome = co_await offload(pool, work).result();
    ids = images.unsettled();
  }
  settling = false;
  settle_ended.set();
  // The mark stays; the next pull or start tries again.
  if (!outcome.ok() && !closing) {
    Error error = std::move(outcome).error().with("put images on disk");
    co_await fail(std::move(error));
  }
}

Task<void> Puller::settled() {
  while (impl_->settling) co_await impl_->settle_ended.wait();
}

Status Puller::Impl::put_on_disk(const std::vector<std::string>& ids) {
  std::vector<oci::Digest> blobs;
  for (const std::string& id : ids) {
    TRY(const std::optional<ImageEntry> entry, images.find(named_by_id(id)));
    if (!entry.has_value()) continue;  // removed meanwhile
    for (oci::Digest& digest : needed_blobs(*entry)) blobs.push_back(std::move(digest));
  }
  for (const oci::Digest& digest : blobs) {
    if (closing) return {};
    Status synced = content.sync(digest);
    // Layer blobs may have been dropped.
    if (!synced.ok() && !synced.error().is(Errc::not_found)) return synced;
  }
  if (closing) return {};
  TRY_(layers.sync());
  return images.settled(ids);
}

}  // namespace berth::image
