// SPDX-License-Identifier: Apache-2.0
// What the agent remembers of places that could not be used: they rest, which means that they are
// asked last, for a time that doubles with every failure in a row. So a dead mirror costs its
// time-out once, not once for each blob. The home ring's thread only.
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
  // Several transfers that fail together count as one failure. True when it begins to rest.
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
