// SPDX-License-Identifier: Apache-2.0
// What the answers of a registry mean. Pure functions, private to this room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/image/http/call.h"

namespace berth::image {

bool is_success(long status);
bool is_redirect(long status);
// Another attempt at the same place may succeed.
bool may_pass(long status);
// "HTTP 404 (MANIFEST_UNKNOWN: manifest unknown)", with the code that the CRI has for it.
Error status_error(const HttpResponse& response);
// Seconds or a date, as milliseconds from now; at most a day.
std::optional<std::int64_t> retry_after_ms(const HttpResponse& response);
// `text` without any of the secrets: a registry may repeat what it was sent.
std::string without_secrets(std::string text, const std::vector<std::string>& secrets);

}  // namespace berth::image
