// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/secrets.h"

#include <algorithm>
#include <utility>

namespace berth::image {
namespace {

std::string without_secrets(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
      text.replace(at, secret.size(), "***");
      at += 3;
    }
  }
  return text;
}

}  // namespace

void Secrets::add(const std::string& secret) {
  constexpr std::size_t kSizeMin = 3;
  if (secret.size() < kSizeMin) return;
  if (std::find(secrets_.begin(), secrets_.end(), secret) == secrets_.end()) {
    secrets_.push_back(secret);
  }
}

void Secrets::add_value_of(const std::string& header) {
  add(header.substr(std::min(header.find(' ') + 1, header.size())));
}

Error Secrets::scrubbed(Error error) const {
  error.subject = without_secrets(std::move(error.subject), secrets_);
  error.context = without_secrets(std::move(error.context), secrets_);
  return error;
}

}  // namespace berth::image
