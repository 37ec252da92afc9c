// SPDX-License-Identifier: Apache-2.0
// Statistics of samples. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace berth::bench {

// In milliseconds. Percentiles by nearest rank: p99 of fewer than a hundred samples is the maximum.
struct Distribution {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
  double mad = 0;  // median of the distances from the median
};

Distribution distribution_of(std::vector<std::int64_t> samples_ns);

// The median of the last samples divided by the median of the first. Each group is a tenth of all
// samples, at most ten.
struct Trend {
  double last_over_first = 0;
  std::size_t each = 0;
};
Trend trend_of(const std::vector<std::int64_t>& samples_ns);

}  // namespace berth::bench
