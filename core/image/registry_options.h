// SPDX-License-Identifier: Apache-2.0
// How registries are spoken to. Plain data, the same for every pull.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace berth::image {

struct RegistryOptions {
  // "host" or "host:port" that is spoken to by plain HTTP. Loopback addresses always are.
  std::vector<std::string> insecure_hosts;
  std::int64_t connect_timeout_ms = 5'000;
  // A transfer slower than this for that long is given up, and tried again.
  std::int64_t low_speed_bytes_per_s = 1'024;
  std::int64_t low_speed_s = 15;
  unsigned attempts_max = 4;
  std::int64_t retry_delay_ms = 250;         // doubled with every attempt
  std::int64_t retry_delay_ms_max = 10'000;  // also the most that a Retry-After is obeyed
  std::string user_agent = "berth";
};

}  // namespace berth::image
