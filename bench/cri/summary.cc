// SPDX-License-Identifier: Apache-2.0
#include "bench/cri/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace berth::bench {

namespace {

constexpr double kNanosecondsPerUnit = 1e6;  // shown in milliseconds

// `sorted` is not empty; `rank` in (0, 1].
double percentile(const std::vector<std::int64_t>& sorted, double rank) {
  const auto position =
      static_cast<std::size_t>(std::ceil(rank * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<std::size_t>(position, 1) - 1]) / kNanosecondsPerUnit;
}

double median(std::vector<std::int64_t> samples) {
  std::sort(samples.begin(), samples.end());
  return percentile(samples, 0.5);
}

}  // namespace

Distribution distribution_of(std::vector<std::int64_t> samples_ns) {
  if (samples_ns.empty()) return {};
  std::sort(samples_ns.begin(), samples_ns.end());
  Distribution found{percentile(samples_ns, 0.5), percentile(samples_ns, 0.9),
                     percentile(samples_ns, 0.99), percentile(samples_ns, 1.0), 0};
  const auto middle_ns = static_cast<std::int64_t>(found.p50 * kNanosecondsPerUnit);
  for (std::int64_t& sample : samples_ns) sample = std::llabs(sample - middle_ns);
  found.mad = median(std::move(samples_ns));
  return found;
}

Trend trend_of(const std::vector<std::int64_t>& samples_ns) {
  if (samples_ns.empty()) return {};
  Trend trend;
  trend.each = std::clamp<std::size_t>(samples_ns.size() / 10, 1, 10);
  const auto each = static_cast<std::ptrdiff_t>(trend.each);
  const double first = median({samples_ns.begin(), samples_ns.begin() + each});
  const double last = median({samples_ns.end() - each, samples_ns.end()});
  trend.last_over_first = first > 0 ? last / first : 0;
  return trend;
}

}  // namespace berth::bench
