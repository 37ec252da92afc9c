// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/status.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

namespace berth::image {
namespace {

Errc code_of(long status) {
  switch (status) {
    case 400:
      return Errc::invalid_argument;
    case 401:
      return Errc::unauthenticated;
    case 403:
      return Errc::permission_denied;
    case 404:
    case 410:
      return Errc::not_found;
    case 429:
      return Errc::resource_exhausted;
    case 405:
    case 501:
      return Errc::unimplemented;
    default:
      return status >= 500 || status == 408 ? Errc::unavailable : Errc::unknown;
  }
}

// The registry's own error text: {"errors":[{"code":"MANIFEST_UNKNOWN","message":"..."}]}.
std::string registry_error_text(const std::string& body) {
  const nlohmann::json document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("errors")) return {};
  const nlohmann::json& errors = document["errors"];
  if (!errors.is_array() || errors.empty() || !errors[0].is_object()) return {};
  const auto text_of = [&](const char* name) {
    const auto found = errors[0].find(name);
    return found != errors[0].end() && found->is_string() ? found->get<std::string>() : "";
  };
  std::string text = text_of("code");
  if (const std::string message = text_of("message"); !message.empty()) text += ": " + message;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = ' ';
  }
  return text.substr(0, 300);
}

}  // namespace

bool is_success(long status) {
  return status >= 200 && status < 300;
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// 501 and 505 mean that the server does not implement something (RFC 9110 15.6): a retry fails too.
bool may_pass(long status) {
  if (status == 501 || status == 505) return false;
  return status == 429 || status == 408 || status >= 500;
}

Error status_error(const HttpResponse& response) {
  std::string text = "HTTP " + std::to_string(response.status);
  if (const std::string reason = registry_error_text(response.error_body); !reason.empty()) {
    text += " (" + reason + ")";
  }
  return make_error(code_of(response.status), text);
}

std::optional<std::int64_t> retry_after_ms(const HttpResponse& response) {
  constexpr std::int64_t kDayS = 86'400;
  const std::string* value = response.header("retry-after");
  if (value == nullptr || value->empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const char* const end = value->data() + value->size();
  const auto [rest, failed] = std::from_chars(value->data(), end, seconds);
  if (failed != std::errc() || rest != end) {
    const std::time_t date = curl_getdate(value->c_str(), nullptr);
    if (date == -1) return std::nullopt;
    seconds = static_cast<std::int64_t>(date - std::time(nullptr));
  }
  return std::clamp<std::int64_t>(seconds, 0, kDayS) * 1000;
}

}  // namespace berth::image
