// SPDX-License-Identifier: Apache-2.0
// The tasks of one pull's layers: up to PullOptions::parallel_fetches fetchers, which take layer
// after layer, and one extraction for each layer. Private to this room.
#pragma once

#include "core/image/pull/context.h"
#include "core/image/pull/downloads.h"
#include "core/image/pull/job.h"
#include "core/image/pull/layer_commits.h"

namespace berth::image {

class Workers {
 public:
  Workers(PullContext& context, Downloads& downloads)
      : context_(context), downloads_(downloads), commits_(context) {}

  // Fetches, extracts and commits all layers of the job from `first_missing` up, and fetches
  // `blobs_missing`. Fails with the first failure. A cancelled caller leaves the tasks running:
  // Job::workers_ended tells when they have ended.
  Task<void> run(JobPtr job);

 private:
  void start(JobPtr job);
  Task<void> fetcher(JobPtr job);
  Task<void> extractor(JobPtr job, std::size_t index);

  PullContext& context_;
  Downloads& downloads_;
  LayerCommits commits_;
};

}  // namespace berth::image
