// SPDX-License-Identifier: Apache-2.0
// Bearer tokens (the distribution project's token authentication): what a challenge makes us ask
// whom, and what the answer holds. Pure functions, private to this room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/image/http/call.h"
#include "core/image/registry/auth.h"

namespace berth::image {

struct TokenQuestion {
  Challenge challenge;
  AuthConfig auth;
  std::string asker;                // URL of the endpoint that asked
  std::vector<std::string> scopes;  // "repository:app:pull": used beside the challenge's own
};

// A refresh token goes as a form (OAuth2), name and password as basic authentication of a GET.
// unauthenticated: the challenge has no usable realm. permission_denied: credentials would go from
// a registry with TLS to a server without.
Result<HttpRequest> token_request(const TokenQuestion& question);

// The token in the answer's body; unauthenticated when there is none.
Result<std::string> parse_token(std::string_view body);

// "repository:app:pull" or "...:pull,push".
std::string repository_scope(const std::string& repository, bool push);

}  // namespace berth::image
