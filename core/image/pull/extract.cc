// SPDX-License-Identifier: Apache-2.0
// One layer from its bytes to a directory that is not yet committed.
#include "core/base/units.h"
#include "core/image/pull/impl.h"

namespace berth::image {
namespace {

// A layer below this is inflated, hashed and unpacked by one thread.
constexpr std::uint64_t kOneThreadMax = 192_KiB;
constexpr std::size_t kUsualWindow = 8_MiB;

}  // namespace

// What the next try at a layer is to do.
struct Puller::Impl::Attempt {
  bool follow = true;                 // the blob while it comes; else its file
  std::shared_ptr<Arrival> followed;  // by the last try; null: it read the file
  std::size_t window = 0;             // of zstd; what else is needed is ExtractStages::kMemory
};

// Tries again with more memory when a zstd frame asks for it, and from the finished blob when what
// we followed was not it: it began anew, or its bytes are wrong, which a decoder may find long
// before a digest does. Who fetches finds out whose fault that is, and asks somebody else.
Task<ExtractedLayer> Puller::Impl::extract(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  co_await layer.started_event.wait();
  const std::size_t window_most =
      extract_budget.most() - std::min(extract_budget.most(), ExtractStages::kMemory);
  Attempt attempt;
  if (layer.blob.media_type.ends_with("zstd")) attempt.window = std::min(kUsualWindow, window_most);
  while (true) {
    Result<ExtractedLayer> outcome = co_await extract_once(job, index, attempt).result();
    if (outcome.ok()) co_return outcome;
    co_await shield(abort_layer(layer.chain_id));
    const bool too_small = outcome.error().is(Errc::out_of_range) && attempt.window < window_most;
    // A full disk stays full.
    const bool cut = attempt.followed != nullptr && !attempt.followed->was_right() && !too_small &&
                     !job->stop.stop_requested() && !outcome.error().is(Errc::resource_exhausted);
    if (cut) {
      co_await layer.fetched_event.wait();
      if (layer.fetch_error.has_value()) outcome = *layer.fetch_error;
      attempt.follow = false;
    }
    if (too_small) attempt.window = attempt.window < kUsualWindow ? kUsualWindow : window_most;
    const bool again = (cut && !layer.fetch_error.has_value()) || too_small;
    if (!again) co_await fail(std::move(outcome).error());
  }
}

Task<ExtractedLayer> Puller::Impl::extract_once(JobPtr job, std::size_t index, Attempt& attempt) {
  LayerJob& layer = *job->layers[index];
  const std::size_t memory = ExtractStages::kMemory + attempt.window;
  std::optional<Budget::Share> following;
  if (attempt.follow && !layer.fetched_event.is_set()) {
    following = follow_budget.take_now(memory);
    if (!following.has_value()) co_await layer.fetched_event.wait();
  }
  const Budget::Share share = co_await under(job->transfers, extract_budget.take(memory));
  if (layer.fetched_event.is_set()) {
    attempt.follow = false;
    following.reset();
  }
  const LayerTarget target = co_await layers.begin(layer.chain_id, layer.parent.empty());
  InflateLimits limits;
  limits.size_max = options.layer_size_max;
  limits.ratio_max = options.inflate_ratio_max;
  limits.ratio_grace = options.inflate_ratio_grace;
  limits.window_max = attempt.window;
  const ExtractSpec spec{layer.blob.digest, layer.diff_id, limits};
  attempt.followed = attempt.follow ? layer.arrival : nullptr;
  const auto open = [this, &layer, &attempt, &job] {
    return open_layer_blob(content, layer.blob.digest, attempt.followed, job->stop.get_token());
  };
  std::unique_ptr<ByteSource> compressed = co_await offload(pool, open);
  auto stages = std::make_shared<ExtractStages>(layers, target, spec, std::move(compressed));
  if (layer.blob.size > kOneThreadMax) {
    ExtractedLayer extracted = co_await run_stages(stages);
    co_return extracted;
  }
  const auto run = [&stages] { return stages->run(); };
  ExtractedLayer extracted = co_await offload(pool, run);
  co_return extracted;
}

// Each stage needs a thread of its own: they wait for each other. The pool has that many for every
// share of the budget.
Task<ExtractedLayer> Puller::Impl::run_stages(std::shared_ptr<ExtractStages> stages) {
  stages->split();
  StageCount count;
  for (auto stage : {&ExtractStages::inflate, &ExtractStages::hash, &ExtractStages::unpack}) {
    if (scope.spawn(run_stage(stages, stage, count))) {
      ++count.running;
    } else {
      stages->give_up();
    }
  }
  // The stages use what our awaiter owns: waited for, cancelled or not.
  if (count.running > 0) co_await shield(stages_ended(count));
  ExtractedLayer extracted = co_await stages->outcome();
  co_return extracted;
}

Task<void> Puller::Impl::stages_ended(StageCount& count) {
  co_await count.ended.wait();
}

Task<void> Puller::Impl::run_stage(std::shared_ptr<ExtractStages> stages,
                                   void (ExtractStages::*stage)(), StageCount& count) {
  const auto work = [&stages, stage]() -> Status {
    ((*stages).*stage)();
    return {};
  };
  Result<void> ran = co_await offload(pool, work).result();
  if (!ran.ok()) stages->give_up();
  if (--count.running == 0) count.ended.set();
}

Task<void> Puller::Impl::abort_layer(std::string chain_id) {
  Result<void> aborted = co_await layers.abort(chain_id).result();
  if (!aborted.ok()) log.warn("image", "abort " + chain_id + ": " + aborted.error().message());
}

}  // namespace berth::image
