// SPDX-License-Identifier: Apache-2.0
// Credentials for a registry, in the forms of the CRI, and the challenges of a registry. They are
// kept in memory only and never appear in an error or a log line.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

// CRI AuthConfig. Precedence: registry_token, identity_token, username and password, auth.
struct AuthConfig {
  std::string username;
  std::string password;
  std::string auth;            // base64 of "username:password"
  std::string server_address;  // when set, the credentials are for this host only
  std::string identity_token;  // an OAuth2 refresh token
  std::string registry_token;  // sent unchanged as a bearer token

  bool empty() const;
};

// Fills username and password from `auth` when only that is given; invalid_argument when it is not
// base64 of a pair. Drops everything when server_address names another host than `registry_host`.
Result<AuthConfig> effective_auth(AuthConfig config, std::string_view registry_host);

// The challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1) to answer: a bearer
// challenge, else a basic one, else the first. Challenges after a malformed one are ignored.
struct Challenge {
  std::string scheme;                             // lower case: "basic", "bearer"
  std::map<std::string, std::string> parameters;  // names in lower case
};
Result<Challenge> parse_challenge(std::string_view header);

std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);

}  // namespace berth::image
