// SPDX-License-Identifier: Apache-2.0
// Layers by chain id: each is extracted and committed once at a time, however many pulls need it.
// All layers of an image are extracted at the same time and committed from the lowest up. Private
// to this room.
#pragma once

#include "core/image/pull/context.h"
#include "core/image/pull/extraction.h"
#include "core/image/pull/flights.h"
#include "core/image/pull/job.h"

namespace berth::image {

class LayerCommits {
 public:
  explicit LayerCommits(PullContext& context)
      : context_(context), extraction_(context), chains_(context.scope) {}

  // Ends when the layer is committed. Layers below it are waited for by their `done_event`.
  Task<void> ensure(JobPtr job, std::size_t index);

 private:
  Task<void> extract_and_commit(JobPtr job, std::size_t index);

  PullContext& context_;
  Extraction extraction_;
  Flights chains_;
};

}  // namespace berth::image
