// SPDX-License-Identifier: Apache-2.0
// The meaning of a registry's HTTP status and headers. Pure functions, private to this room.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/error.h"
#include "core/image/http/call.h"

namespace berth::image {

bool is_success(long status);
bool is_redirect(long status);
// Another attempt at the same endpoint may succeed.
bool may_pass(long status);
// "HTTP 404 (MANIFEST_UNKNOWN: manifest unknown)", with the matching Errc.
Error status_error(const HttpResponse& response);
// Seconds or a date, as milliseconds from now; at most a day.
std::optional<std::int64_t> retry_after_ms(const HttpResponse& response);

}  // namespace berth::image
