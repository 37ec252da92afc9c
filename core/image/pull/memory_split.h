// SPDX-License-Identifier: Apache-2.0
// How PullOptions::memory_max is divided, and how many threads that memory keeps busy.
#pragma once

#include <cstddef>

#include "core/image/pull/extract_stages.h"

namespace berth::image {

// Of one fetch: kFetchBuffer, libcurl's buffers and small parts.
constexpr std::size_t kFetchMemory = 1u << 20;

struct MemorySplit {
  constexpr explicit MemorySplit(std::size_t memory_max)
      : fetch(memory_max / 4),
        fetch_per_host(fetch / 4 * 3),
        extract(memory_max - fetch),
        follow(extract / 3 * 2) {}

  std::size_t fetch;  // separate, so that fetches go on while every extraction waits for bytes
  std::size_t fetch_per_host;  // so that a slow registry never holds all of `fetch`
  std::size_t extract;
  // Part of `extract`, for layers that are read while they arrive: enough for two zstd layers with
  // the usual window, and the rest unpacks a complete layer meanwhile.
  std::size_t follow;

  // One thread for each fetch, three for each extraction, whose stages wait for each other, and
  // some for short steps.
  constexpr unsigned threads_max() const {
    constexpr std::size_t kShort = 4;
    const std::size_t fetches = fetch / kFetchMemory + 1;
    const std::size_t extractions = extract / ExtractStages::kMemory + 1;
    return static_cast<unsigned>(fetches + 3 * extractions + kShort);
  }
};

}  // namespace berth::image
