// SPDX-License-Identifier: Apache-2.0
// cpu.shares, cpu.cfs_quota_us, cpu.cfs_period_us | cpu.weight, cpu.max.
#include <algorithm>
#include <cmath>

#include "plugins/resources/policy.h"

namespace berth::plugins {
namespace {

constexpr std::int64_t kSharesMin = 2;
constexpr std::int64_t kSharesMax = 262144;
constexpr std::int64_t kPeriodMinUs = 1000;
constexpr std::int64_t kPeriodMaxUs = 1'000'000;
constexpr std::int64_t kPeriodDefaultUs = 100'000;
constexpr std::int64_t kQuotaMinUs = 1000;
// KERNEL: the largest quota of kernel/sched is (2^44 - 1) microseconds.
constexpr std::int64_t kQuotaMaxUs = (std::int64_t{1} << 44) - 1;

// With x = log2(shares): log10(weight) = (x^2 + 125 x) / 612 - 7/34, which is 0 at x = 1, 2 at x =
// 10 and 4 at x = 18.
double log10_weight(double log2_shares) {
  return (log2_shares * log2_shares + 125 * log2_shares) / 612 - 7.0 / 34;
}

}  // namespace

unsigned weight_from_shares(std::int64_t shares) {
  const std::int64_t bounded = std::clamp(shares, kSharesMin, kSharesMax);
  const double weight = std::pow(10, log10_weight(std::log2(static_cast<double>(bounded))));
  // Rounded up, but not by what floating point adds to a whole number.
  return static_cast<unsigned>(std::clamp(std::ceil(weight - 1e-6), 1.0, 10000.0));
}

Status validate_cpu(const Resources& resources) {
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  if (resources.cpu_shares < 0 || resources.cpu_shares > kSharesMax) {
    return field_error("cpu_shares", text(resources.cpu_shares), "not within 0 to 262144");
  }
  if (resources.cpu_period != 0 &&
      (resources.cpu_period < kPeriodMinUs || resources.cpu_period > kPeriodMaxUs)) {
    return field_error("cpu_period", text(resources.cpu_period),
                       "not within 1000 to 1000000 microseconds");
  }
  if (resources.cpu_quota < -1) {
    return field_error("cpu_quota", text(resources.cpu_quota), "negative, and not -1 for no limit");
  }
  if (resources.cpu_quota > 0 &&
      (resources.cpu_quota < kQuotaMinUs || resources.cpu_quota > kQuotaMaxUs)) {
    return field_error("cpu_quota", text(resources.cpu_quota),
                       "not within 1000 to 2^44-1 microseconds");
  }
  return {};
}

std::vector<ControlWrite> cpu_v1(const Resources& resources, const CurrentLimits& current) {
  std::vector<ControlWrite> writes;
  if (resources.cpu_shares > 0) {
    const std::int64_t shares = std::max(resources.cpu_shares, kSharesMin);
    writes.push_back({"cpu.shares", std::to_string(shares)});
  }
  bool lifted = false;
  if (resources.cpu_period > 0) {
    // KERNEL: each write is checked against the parent's quota/period at once, so a new period with
    // the old quota can be refused (EINVAL) although the pair is fine. Without a quota it is not.
    if (!current.fresh && resources.cpu_quota != 0) {
      writes.push_back({"cpu.cfs_quota_us", "-1"});
      lifted = true;
    }
    writes.push_back({"cpu.cfs_period_us", std::to_string(resources.cpu_period)});
  }
  if (resources.cpu_quota > 0) {
    writes.push_back({"cpu.cfs_quota_us", std::to_string(resources.cpu_quota)});
  } else if (resources.cpu_quota < 0 && !lifted) {
    writes.push_back({"cpu.cfs_quota_us", "-1"});
  }
  return writes;
}

std::vector<ControlWrite> cpu_v2(const Resources& resources, const CurrentLimits& current) {
  std::vector<ControlWrite> writes;
  if (resources.cpu_shares > 0) {
    writes.push_back({"cpu.weight", std::to_string(weight_from_shares(resources.cpu_shares))});
  }
  if (resources.cpu_quota == 0 && resources.cpu_period == 0) return writes;
  // cpu.max is the pair; the half that was not asked for stays what it is.
  const std::size_t space = current.cpu_max.find(' ');
  std::string quota = current.cpu_max.substr(0, space);
  std::string period = space == std::string::npos ? std::to_string(kPeriodDefaultUs)
                                                  : current.cpu_max.substr(space + 1);
  while (!period.empty() && period.back() == '\n') period.pop_back();
  if (resources.cpu_quota > 0) quota = std::to_string(resources.cpu_quota);
  if (resources.cpu_quota < 0) quota = "max";
  if (resources.cpu_period > 0) period = std::to_string(resources.cpu_period);
  writes.push_back({"cpu.max", quota + " " + period});
  return writes;
}

}  // namespace berth::plugins
