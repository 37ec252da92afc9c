// SPDX-License-Identifier: Apache-2.0
// The authentication of one session: sends a request with the endpoint's Authorization header, and
// answers a challenge (basic, bearer) once. Tokens are kept in the endpoint, one request for a
// token at a time. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "core/image/config/access.h"
#include "core/image/registry/auth.h"
#include "core/image/registry/bodies.h"
#include "core/image/registry/client.h"
#include "core/image/registry/endpoints.h"
#include "core/image/registry/request.h"
#include "core/task/task.h"

namespace berth::image {

class Authenticator {
 public:
  // Everything is borrowed. New tokens are added to `secrets`.
  Authenticator(RegistryClient& client, Access access, Secrets& secrets)
      : client_(client), access_(access), secrets_(secrets) {}

  // Tokens requested from now on are also good for reading `repository`.
  void add_read_scope(const std::string& repository);
  // Answers a 401 once and follows redirects. Any other status is a value.
  Task<HttpResponse> send(SessionEndpoint& endpoint, RegistryRequest request, RegistryBody& body);

 private:
  Task<void> answer_challenge(SessionEndpoint& endpoint, HttpResponse response,
                              std::string refused);
  Task<std::string> fetch_token(SessionEndpoint& endpoint, Challenge challenge);

  RegistryClient& client_;
  const Access access_;
  Secrets& secrets_;
  std::vector<std::string> extra_scopes_;
};

}  // namespace berth::image
