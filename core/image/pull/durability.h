// SPDX-License-Identifier: Apache-2.0
// Writes pulled images to disk behind their pulls: each blob, then the layers, then it removes the
// image's mark (store/image_store.h). An image that a pull adds meanwhile is synced in the next
// round.
//
// Once a sync has failed in a way that loses written pages, files_lost() is true until
// drop_unsynced(): no pull starts, and images with a mark are removed. Private to this room.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "core/image/pull/context.h"
#include "core/task/event.h"

namespace berth::image {

class Durability {
 public:
  // `on_loss` ends the running pulls and sweeps, which calls drop_unsynced().
  Durability(PullContext& context, std::function<Task<void>()> on_loss)
      : context_(context), on_loss_(std::move(on_loss)) {}

  // Starts the task if an image has a mark and the task does not run.
  void start();
  // Waits for the task's end.
  Task<void> wait();

  // Syncs the blobs of a pull whose image is synced already. Blocks.
  Status sync(const std::vector<oci::Digest>& blobs);

  bool files_lost() const { return files_lost_; }
  // Removes every image with a mark. Blocks. After a failure the next sweep tries again.
  Status drop_unsynced();

 private:
  Task<void> run();
  Status sync_images(const std::vector<ImageStore::Mark>& marks);
  Status note_loss(Status synced);

  PullContext& context_;
  const std::function<Task<void>()> on_loss_;
  bool running_ = false;
  Event ended_;
  std::atomic<bool> files_lost_{false};  // set on the pool's threads
};

}  // namespace berth::image
