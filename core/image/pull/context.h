// SPDX-License-Identifier: Apache-2.0
// What every part of the Puller uses: the stores, the threads for blocking steps, and the scope of
// all tasks. Outlives the parts. Private to this room.
#pragma once

#include <atomic>
#include <utility>

#include "core/base/log.h"
#include "core/image/content/content.h"
#include "core/image/pull/layer_store.h"
#include "core/image/pull/memory_split.h"
#include "core/image/pull/puller.h"
#include "core/image/store/image_store.h"
#include "core/ring/offload.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"

namespace berth::image {

struct PullContext {
  PullContext(Ring& ring, ContentStore& blobs, ImageStore& records, LayerStore& trees, Log& to,
              PullOptions how)
      : content(blobs),
        images(records),
        layers(trees),
        log(to),
        options(std::move(how)),
        memory(options.memory_max),
        pool(ring, memory.threads_max()),
        scope(ring.ready(), [this](Error error) { log.warn("image", error.message()); }) {}

  ContentStore& content;
  ImageStore& images;
  LayerStore& layers;
  Log& log;
  const PullOptions options;
  const MemorySplit memory;
  OffloadPool pool;
  Scope scope;
  std::atomic<bool> closing{false};  // read on the pool's threads too
};

}  // namespace berth::image
