// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/extraction.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/units.h"
#include "core/image/unpack/inflate.h"

namespace berth::image {
namespace {

// A layer below this is inflated, hashed and unpacked by one thread.
constexpr std::uint64_t kOneThreadMax = 192_KiB;
constexpr std::size_t kUsualWindow = 8_MiB;

// A file whose reading ends when the pull is cancelled.
class StoppableFile final : public ByteSource {
 public:
  StoppableFile(UniqueFd file, std::string name, std::stop_token stop)
      : source_(std::move(file), std::move(name)), stop_(std::move(stop)) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    if (stop_.stop_requested()) return make_error(Errc::cancelled, "cancelled");
    return source_.read(out, size);
  }

 private:
  FileSource source_;
  std::stop_token stop_;
};

// From its file, or while it arrives. Reading ends with cancelled by `stop`. Blocks.
Result<std::unique_ptr<ByteSource>> open_blob(ContentStore& content, const oci::Digest& blob,
                                              std::shared_ptr<Arrival> arrival,
                                              std::stop_token stop) {
  std::string name = "blob " + blob.text();
  std::unique_ptr<ByteSource> source;
  if (arrival != nullptr) {
    source = std::make_unique<ArrivingSource>(std::move(arrival), std::move(name), std::move(stop));
    return source;
  }
  TRY(UniqueFd file, content.open_blob(blob));
  source = std::make_unique<StoppableFile>(std::move(file), std::move(name), std::move(stop));
  return source;
}

InflateLimits limits_of(const PullOptions& options, std::size_t window_max) {
  InflateLimits limits;
  limits.size_max = options.layer_size_max;
  limits.ratio_max = options.inflate_ratio_max;
  limits.ratio_grace = options.inflate_ratio_grace;
  limits.window_max = window_max;
  return limits;
}

}  // namespace

// Two reasons for another try. A zstd frame needs a larger window: try with more memory. The
// arriving bytes were not those of the blob (the fetch restarted, or a mirror sent wrong bytes,
// which a decoder may find long before a digest does): try with the complete blob.
Task<ExtractedLayer> Extraction::extract(JobPtr job, std::size_t index) {
  LayerJob& layer = *job->layers[index];
  co_await layer.started_event.wait();
  const std::size_t window_max =
      memory_.size_max() - std::min(memory_.size_max(), ExtractStages::kMemory);
  Attempt attempt;
  if (layer.blob.media_type.ends_with("zstd")) attempt.window = std::min(kUsualWindow, window_max);
  while (true) {
    Result<ExtractedLayer> outcome = co_await extract_once(job, index, attempt).result();
    if (outcome.ok()) co_return outcome;
    co_await shield(abort(layer.chain_id));
    const bool too_small = outcome.error().is(Errc::out_of_range) && attempt.window < window_max;
    // A full disk stays full.
    const bool cut = attempt.followed != nullptr && !attempt.followed->was_right() && !too_small &&
                     !job->stop.stop_requested() && !outcome.error().is(Errc::resource_exhausted);
    if (cut) {
      co_await layer.fetched_event.wait();
      if (layer.fetch_error.has_value()) outcome = *layer.fetch_error;
      attempt.follow = false;
    }
    if (too_small) attempt.window = attempt.window < kUsualWindow ? kUsualWindow : window_max;
    const bool again = (cut && !layer.fetch_error.has_value()) || too_small;
    if (!again) co_await fail(std::move(outcome).error());
  }
}

Task<ExtractedLayer> Extraction::extract_once(JobPtr job, std::size_t index, Attempt& attempt) {
  LayerJob& layer = *job->layers[index];
  const std::size_t memory = ExtractStages::kMemory + attempt.window;
  std::optional<Budget::Share> following;
  if (attempt.follow && !layer.fetched_event.is_set()) {
    following = follow_memory_.take_now(memory);
    if (!following.has_value()) co_await layer.fetched_event.wait();
  }
  const Budget::Share share = co_await under(job->transfers, memory_.take(memory));
  if (layer.fetched_event.is_set()) {
    attempt.follow = false;
    following.reset();
  }
  LayerStore& layers = context_.layers;
  const LayerTarget target = co_await layers.begin(layer.chain_id, layer.parent.empty());
  const ExtractSpec spec{layer.blob.digest, layer.diff_id,
                         limits_of(context_.options, attempt.window)};
  attempt.followed = attempt.follow ? layer.arrival : nullptr;
  ContentStore& content = context_.content;
  const auto open = [&content, &layer, &attempt, &job] {
    return open_blob(content, layer.blob.digest, attempt.followed, job->stop.get_token());
  };
  std::unique_ptr<ByteSource> compressed = co_await offload(context_.pool, open);
  auto stages = std::make_shared<ExtractStages>(layers, target, spec, std::move(compressed));
  if (layer.blob.size > kOneThreadMax) {
    ExtractedLayer extracted = co_await run_stages(stages);
    co_return extracted;
  }
  const auto run = [&stages] { return stages->run(); };
  ExtractedLayer extracted = co_await offload(context_.pool, run);
  co_return extracted;
}

// Each stage needs a thread of its own, because the stages wait for each other. The pool has that
// many for every share of the budget (MemorySplit::threads_max).
Task<ExtractedLayer> Extraction::run_stages(std::shared_ptr<ExtractStages> stages) {
  stages->split();
  StageCount count;
  for (auto stage : {&ExtractStages::inflate, &ExtractStages::hash, &ExtractStages::unpack}) {
    if (context_.scope.spawn(run_stage(stages, stage, count))) {
      ++count.running;
    } else {
      stages->cancel();
    }
  }
  // The stages use memory of this task's awaiter, so even a cancelled task waits for them.
  if (count.running > 0) co_await shield(wait_for_end(count));
  ExtractedLayer extracted = co_await stages->outcome();
  co_return extracted;
}

Task<void> Extraction::wait_for_end(StageCount& count) {
  co_await count.ended.wait();
}

Task<void> Extraction::run_stage(std::shared_ptr<ExtractStages> stages,
                                 void (ExtractStages::*stage)(), StageCount& count) {
  const auto work = [&stages, stage]() -> Status {
    ((*stages).*stage)();
    return {};
  };
  Result<void> ran = co_await offload(context_.pool, work).result();
  if (!ran.ok()) stages->cancel();
  if (--count.running == 0) count.ended.set();
}

Task<void> Extraction::abort(std::string chain_id) {
  Result<void> aborted = co_await context_.layers.abort(chain_id).result();
  if (!aborted.ok()) {
    context_.log.warn("image", "abort " + chain_id + ": " + aborted.error().message());
  }
}

}  // namespace berth::image
