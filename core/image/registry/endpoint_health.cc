// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/endpoint_health.h"

#include <algorithm>

#include "core/base/units.h"

namespace berth::image {

bool EndpointHealth::resting(const std::string& base, std::int64_t now_ns) const {
  const auto found = failures_.find(base);
  return found != failures_.end() && now_ns < found->second.until_ns;
}

bool EndpointHealth::failed(const std::string& base, std::int64_t now_ns) {
  Failure& failure = failures_[base];
  if (now_ns < failure.until_ns) return false;
  failure.rest_ms = failure.rest_ms == 0 ? rest_ms_ : std::min(failure.rest_ms * 2, rest_ms_max_);
  failure.until_ns = now_ns + failure.rest_ms * kNanosecondsPerMillisecond;
  return true;
}

}  // namespace berth::image
