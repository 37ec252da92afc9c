// SPDX-License-Identifier: Apache-2.0
// The header WWW-Authenticate, and the base64 of credentials.
#include <algorithm>
#include <cctype>

#include "core/image/registry/auth.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

namespace {

bool is_lower_case(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

void check_base64(std::string_view text) {
  const auto decoded = berth::image::base64_decode(text);
  if (!decoded.ok()) return;
  const auto again = berth::image::base64_decode(berth::image::base64_encode(decoded.value()));
  promise(again.ok() && again.value() == decoded.value(), "base64 survives a round");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = berth::fuzz::text_of(data, size);
  const auto challenge = berth::image::parse_challenge(text);
  if (challenge.ok()) {
    promise(!challenge.value().scheme.empty(), "a challenge has a scheme");
    promise(is_lower_case(challenge.value().scheme), "schemes are in lower case");
    for (const auto& [name, value] : challenge.value().parameters) {
      promise(!name.empty() && is_lower_case(name), "parameters have names in lower case");
    }
  } else {
    berth::fuzz::promise_one_line(challenge.error().message());
  }
  check_base64(text);
  berth::image::AuthConfig config;
  config.auth = std::string(text);
  static_cast<void>(berth::image::effective_auth(config, "registry.example"));
  return 0;
}
