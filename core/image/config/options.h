// SPDX-License-Identifier: Apache-2.0
// The operator's settings for registries. Plain data, the same for every pull.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace berth::image {

struct RegistryOptions {
  // "host" or "host:port" to use plain HTTP with. Loopback addresses always use it.
  std::vector<std::string> insecure_hosts;
  // containerd's layout of hosts.toml files; empty: none (hosts_toml.h).
  std::string config_dir;
  // registries.conf version 2, with FILE.d beside it; empty: none (registries_conf.h).
  std::string registries_conf;
  std::int64_t connect_timeout_ms = 5'000;
  // A transfer slower than this for that long is cancelled and retried.
  std::int64_t low_speed_bytes_per_s = 1'024;
  std::int64_t low_speed_s = 15;
  // From the last byte of a pushed blob to the answer: some registries copy the blob first.
  std::int64_t upload_answer_s = 600;
  // While a further endpoint can be asked, an endpoint gets these limits and one attempt.
  std::int64_t mirror_connect_timeout_ms = 2'000;
  std::int64_t mirror_low_speed_s = 5;
  std::int64_t mirror_document_timeout_ms = 10'000;
  std::int64_t document_timeout_ms = 60'000;
  // An endpoint that failed is asked last for this long; doubled with each failure in a row.
  std::int64_t rest_ms = 10'000;
  std::int64_t rest_ms_max = 300'000;
  unsigned attempts_max = 4;
  std::int64_t retry_delay_ms = 250;         // doubled with every attempt
  std::int64_t retry_delay_ms_max = 10'000;  // also the upper limit for Retry-After
  // After this time without a session, connections and their thread are closed.
  std::int64_t idle_ms = 60'000;
  std::string user_agent = "berth";
};

}  // namespace berth::image
