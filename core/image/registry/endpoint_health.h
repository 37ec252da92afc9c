// SPDX-License-Identifier: Apache-2.0
// The endpoints that failed lately. A failed endpoint rests, which means that it is asked last, for
// a time that doubles with each failure in a row. So a dead mirror costs its time-out once, not
// once for each blob. The home ring's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace berth::image {

class EndpointHealth {
 public:
  EndpointHealth(std::int64_t rest_ms, std::int64_t rest_ms_max)
      : rest_ms_(rest_ms), rest_ms_max_(rest_ms_max) {}

  bool resting(const std::string& base, std::int64_t now_ns) const;
  // Transfers that fail together count as one failure. True: the endpoint begins to rest.
  bool failed(const std::string& base, std::int64_t now_ns);
  void succeeded(const std::string& base) { failures_.erase(base); }

 private:
  struct Failure {
    std::int64_t rest_ms = 0;
    std::int64_t until_ns = 0;
  };

  std::int64_t rest_ms_;
  std::int64_t rest_ms_max_;
  std::map<std::string, Failure> failures_;  // by RegistryEndpoint::base
};

}  // namespace berth::image
