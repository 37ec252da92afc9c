// SPDX-License-Identifier: Apache-2.0
// Repeats a request to one endpoint while a further attempt may succeed, and records in the
// client's EndpointHealth whether the endpoint could be used. Private to this room.
#pragma once

#include "core/image/registry/authenticator.h"
#include "core/image/registry/bodies.h"
#include "core/image/registry/client.h"
#include "core/image/registry/endpoints.h"
#include "core/image/registry/request.h"
#include "core/task/task.h"

namespace berth::image {

class Retries {
 public:
  // Everything is borrowed.
  Retries(RegistryClient& client, Authenticator& authenticator, const SessionEndpoints& endpoints,
          const Secrets& secrets)
      : client_(client), authenticator_(authenticator), endpoints_(endpoints), secrets_(secrets) {}

  // A 2xx answer is a value, any other an error. Makes at most `request.attempts_max` attempts that
  // bring no bytes.
  Task<HttpResponse> send(SessionEndpoint& endpoint, RegistryRequest request, RegistryBody& body);

 private:
  void note_failure(SessionEndpoint& endpoint, const Error& error, bool unreachable);

  RegistryClient& client_;
  Authenticator& authenticator_;
  const SessionEndpoints& endpoints_;
  const Secrets& secrets_;
};

}  // namespace berth::image
