// SPDX-License-Identifier: Apache-2.0
// Bearer tokens (the distribution project's token authentication): from a challenge to the request
// for a token, and from the answer to the token. Pure functions, private to this room.
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
  std::string asker;                // URL of the endpoint that sent the challenge
  std::vector<std::string> scopes;  // "repository:app:pull": added to the challenge's own
};

// A refresh token is sent as a form (OAuth2), user name and password as basic authentication of a
// GET.
// unauthenticated: the challenge has no usable realm. permission_denied: credentials would go from
// a registry with TLS to a server without.
Result<HttpRequest> token_request(const TokenQuestion& question);

// The token in the answer's body; unauthenticated when there is none.
Result<std::string> parse_token(std::string_view body);

// "repository:app:pull" or "...:pull,push".
std::string repository_scope(const std::string& repository, bool push);

}  // namespace berth::image
