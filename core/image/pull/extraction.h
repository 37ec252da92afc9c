// SPDX-License-Identifier: Apache-2.0
// One layer from its bytes to a directory that is not yet committed, in bounded memory. The layer
// is read while it arrives when memory for that is free, else from its complete blob. Private to
// this room.
#pragma once

#include <memory>
#include <string>

#include "core/image/pull/context.h"
#include "core/image/pull/extract_stages.h"
#include "core/image/pull/job.h"

namespace berth::image {

class Extraction {
 public:
  explicit Extraction(PullContext& context)
      : context_(context), memory_(context.memory.extract), follow_memory_(context.memory.follow) {}

  // After a failure nothing of the layer is left. Waits for `started_event` of the layer.
  Task<ExtractedLayer> extract(JobPtr job, std::size_t index);
  // Removes an extracted layer that is not committed; a failure is logged.
  Task<void> abort(std::string chain_id);

 private:
  // One try at a layer.
  struct Attempt {
    bool follow = true;                 // read the blob while it arrives
    std::shared_ptr<Arrival> followed;  // by the last try; null: it read the complete blob
    std::size_t window = 0;             // of zstd, beside ExtractStages::kMemory
  };
  // How many stages of one extraction still run.
  struct StageCount {
    unsigned running = 0;
    Event ended;
  };

  Task<ExtractedLayer> extract_once(JobPtr job, std::size_t index, Attempt& attempt);
  Task<ExtractedLayer> run_stages(std::shared_ptr<ExtractStages> stages);
  Task<void> run_stage(std::shared_ptr<ExtractStages> stages, void (ExtractStages::*stage)(),
                       StageCount& count);
  static Task<void> wait_for_end(StageCount& count);

  PullContext& context_;
  Budget memory_;
  // Part of memory_, for extractions that read a blob while it arrives: the registry decides how
  // long they hold their share.
  Budget follow_memory_;
};

}  // namespace berth::image
