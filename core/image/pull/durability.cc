// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/durability.h"

#include <errno.h>

#include <optional>
#include <string>
#include <utility>

namespace berth::image {
namespace {

// KERNEL: when pages cannot be written (blocks that ext4 had promised, a quota, a thin volume, a
// failing disk), fsync and syncfs report it once, and the pages count as clean (fsync(2)): a second
// call succeeds. So after one failure everything written and not yet synced is distrusted.
bool means_loss(const Error& error) {
  return error.sys_errno == EIO || error.sys_errno == ENOSPC || error.sys_errno == EDQUOT;
}

}  // namespace

void Durability::start() {
  if (running_ || context_.closing || !context_.options.durable) return;
  if (context_.images.unsynced().empty()) return;
  running_ = context_.scope.spawn(run());
  if (running_) ended_.reset();
}

Task<void> Durability::run() {
  Result<void> outcome;
  std::vector<ImageStore::Mark> marks = context_.images.unsynced();
  while (outcome.ok() && !marks.empty() && !context_.closing) {
    const auto work = [this, &marks] { return sync_images(marks); };
    outcome = co_await offload(context_.pool, work).result();
    marks = context_.images.unsynced();
  }
  if (files_lost_ && !context_.closing) co_await on_loss_();
  running_ = false;
  ended_.set();
  // The mark stays; the next pull or start tries again.
  if (!outcome.ok() && !context_.closing) {
    Error error = std::move(outcome).error().with("sync images");
    co_await fail(std::move(error));
  }
}

Task<void> Durability::wait() {
  while (running_) co_await ended_.wait();
}

Status Durability::sync_images(const std::vector<ImageStore::Mark>& marks) {
  std::vector<oci::Digest> blobs;
  for (const ImageStore::Mark& mark : marks) {
    TRY(const std::optional<ImageEntry> entry, context_.images.find(named_by_id(mark.id)));
    if (!entry.has_value()) continue;  // removed meanwhile
    for (oci::Digest& digest : needed_blobs(*entry)) blobs.push_back(std::move(digest));
  }
  for (const oci::Digest& digest : blobs) {
    if (context_.closing) return {};
    Status synced = context_.content.sync(digest);
    // Layer blobs may have been removed (PullOptions::keep_layer_blobs).
    if (!synced.ok() && !synced.error().is(Errc::not_found)) return note_loss(synced);
  }
  if (context_.closing) return {};
  TRY_(note_loss(context_.layers.sync()));
  return context_.images.mark_synced(marks);
}

Status Durability::sync(const std::vector<oci::Digest>& blobs) {
  for (const oci::Digest& digest : blobs) TRY_(note_loss(context_.content.sync(digest)));
  return {};
}

Status Durability::drop_unsynced() {
  for (const ImageStore::Mark& mark : context_.images.unsynced()) {
    context_.log.error("image",
                       "image " + mark.id + " is removed: not all of it was written to disk");
    TRY([[maybe_unused]] const bool removed, context_.images.remove(named_by_id(mark.id)));
  }
  files_lost_ = false;
  return {};
}

Status Durability::note_loss(Status synced) {
  if (!synced.ok() && means_loss(synced.error())) files_lost_ = true;
  return synced;
}

}  // namespace berth::image
