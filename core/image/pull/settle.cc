// SPDX-License-Identifier: Apache-2.0
// Putting on disk what was pulled, behind the pull: each blob once, then the layers, then the mark
// goes (image_store.h, Settling). A pull that ends meanwhile is dealt with in the next round.
#include <errno.h>

#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

// KERNEL: when pages cannot be written (blocks that ext4 had promised, a quota, a thin volume, a
// failing disk), fsync and syncfs say so once, and the pages count as clean (fsync(2)): asking
// again gets a yes. So what was written and not yet synced is not believed any more.
bool tells_of_loss(const Error& error) {
  return error.sys_errno == EIO || error.sys_errno == ENOSPC || error.sys_errno == EDQUOT;
}

}  // namespace

void Puller::Impl::settle_soon() {
  if (settling || closing || !options.durable || images.unsettled().empty()) return;
  settling = scope.spawn(settle());
  if (settling) settle_ended.reset();
}

Task<void> Puller::Impl::settle() {
  Result<void> outcome;
  std::vector<ImageStore::Mark> marks = images.unsettled();
  while (outcome.ok() && !marks.empty() && !closing) {
    const auto work = [this, &marks] { return put_on_disk(marks); };
    outcome = co_await offload(pool, work).result();
    marks = images.unsettled();
  }
  if (files_lost && !closing) co_await give_up_unsettled();
  settling = false;
  settle_ended.set();
  // The mark stays; the next pull or start tries again.
  if (!outcome.ok() && !closing) {
    Error error = std::move(outcome).error().with("put images on disk");
    co_await fail(std::move(error));
  }
}

// Images whose files are lost, and pulls whose files may be: a sweep, when no pull is on its way,
// takes away the ones; the others begin anew when somebody asks again.
Task<void> Puller::Impl::give_up_unsettled() {
  const std::list<JobPtr> all = jobs;
  for (const JobPtr& job : all) {
    Error error = make_error(Errc::unavailable, "the disk lost files that were just written");
    fail_job(*job, std::move(error));
  }
  Result<void> swept = co_await sweep().result();
  if (!swept.ok()) log.warn("image", "sweep: " + swept.error().message());
}

// Part of a sweep. What fails is tried again by the next one, which the next pull waits for.
Status Puller::Impl::remove_unsettled() {
  for (const ImageStore::Mark& mark : images.unsettled()) {
    log.error("image", "image " + mark.id + " is dropped: the disk did not take all of it");
    TRY([[maybe_unused]] const bool removed, images.remove(named_by_id(mark.id)));
  }
  files_lost = false;
  return {};
}

Task<void> Puller::settled() {
  while (impl_->settling) co_await impl_->settle_ended.wait();
}

Status Puller::Impl::put_on_disk(const std::vector<ImageStore::Mark>& marks) {
  std::vector<oci::Digest> blobs;
  for (const ImageStore::Mark& mark : marks) {
    TRY(const std::optional<ImageEntry> entry, images.find(named_by_id(mark.id)));
    if (!entry.has_value()) continue;  // removed meanwhile
    for (oci::Digest& digest : needed_blobs(*entry)) blobs.push_back(std::move(digest));
  }
  for (const oci::Digest& digest : blobs) {
    if (closing) return {};
    Status synced = content.sync(digest);
    // Layer blobs may have been dropped.
    if (!synced.ok() && !synced.error().is(Errc::not_found)) return note_loss(synced);
  }
  if (closing) return {};
  TRY_(note_loss(layers.sync()));
  return images.settled(marks);
}

// What one pull brought when its image was there before it. A pull that fails here leaves nothing
// that a record names.
Status Puller::Impl::sync_stored(const Job& job, const Resolved& resolved) {
  std::vector<oci::Digest> stored;
  for (const Resolved::Document& document : resolved.documents) stored.push_back(document.digest);
  stored.push_back(resolved.manifest.config.digest);
  for (const std::size_t index : job.to_fetch) stored.push_back(job.layers[index]->blob.digest);
  // An archive brings the layers of its own manifest, though the image is unpacked already.
  if (job.local.has_value()) {
    for (const auto& layer : job.layers) stored.push_back(layer->blob.digest);
  }
  for (const oci::Digest& digest : stored) TRY_(note_loss(content.sync(digest)));
  return {};
}

Status Puller::Impl::note_loss(Status synced) {
  if (!synced.ok() && tells_of_loss(synced.error())) files_lost = true;
  return synced;
}

}  // namespace berth::image
