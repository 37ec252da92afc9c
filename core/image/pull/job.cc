// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/job.h"

namespace berth::image {

void Job::cancel() {
  stop.request_stop();
  transfers.cancel();
}

void Job::fail(Error error) {
  if (!failure.has_value()) failure = std::move(error);
  cancel();
  for (const auto& layer : layers) layer->done_event.set();
}

void RunningPulls::cancel_all() {
  for (const JobPtr& job : jobs_) job->cancel();
}

void RunningPulls::fail_all(const Error& error) {
  for (const JobPtr& job : jobs_) job->fail(error);
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
