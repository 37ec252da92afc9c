// SPDX-License-Identifier: Apache-2.0
// The requests of one pull or push about one repository. A request goes to the endpoints of the
// route in order, to the next one when an endpoint cannot serve it. Each endpoint is authenticated
// to when it asks (`authenticator`), redirects are followed without credentials for other origins
// (`redirects`), and passing failures are retried (`retries`): cut connections, continued where
// they stopped, 429, 5xx. Calls may overlap. The home ring's thread only; the session outlives its
// calls.
//
// Errors name method, URL without query, and HTTP status, "GET http://h/v2/app/manifests/1: HTTP
// 404 (MANIFEST_UNKNOWN: manifest unknown)", of the endpoint asked last, and in brief the errors of
// the others: not_found, unauthenticated, permission_denied, resource_exhausted (429), unavailable
// (5xx, no connection), deadline_exceeded (too slow), failed_precondition (TLS), data_loss (wrong
// bytes), cancelled. No text contains a secret (`secrets`).
#pragma once

#include <memory>
#include <string>

#include "core/image/config/access.h"
#include "core/image/config/route.h"
#include "core/image/registry/auth.h"
#include "core/image/registry/authenticator.h"
#include "core/image/registry/bodies.h"
#include "core/image/registry/endpoints.h"
#include "core/image/registry/request.h"
#include "core/image/registry/retries.h"
#include "core/image/registry/secrets.h"
#include "core/oci/image.h"
#include "core/oci/reference.h"
#include "core/task/task.h"

namespace berth::image {

class RegistryClient;

class RegistrySession {
 public:
  static Result<std::unique_ptr<RegistrySession>> create(RegistryClient& client,
                                                         oci::Reference reference, AuthConfig auth,
                                                         RegistryRoute route, Access access);
  RegistrySession(const RegistrySession&) = delete;
  RegistrySession& operator=(const RegistrySession&) = delete;
  ~RegistrySession();

  const oci::Reference& reference() const { return reference_; }

  // `name` is a tag or the text of a digest.
  Task<RemoteDocument> head_manifest(std::string name);
  // Verified when `name` is a digest; at most 4 MiB.
  Task<RemoteDocument> get_manifest(std::string name);
  // Writes bytes [offset, blob.size) to `sink`, in order and each once, and writes nothing after
  // the task has ended. Returns the number of bytes received from the network. Does not verify the
  // digest: the caller does.
  Task<std::uint64_t> get_blob(oci::Descriptor blob, std::uint64_t offset, DownloadSink& sink);
  // The bytes that get_blob wrote were wrong. From now on this blob is requested from the endpoints
  // that sent them only after all others. False: there is no other endpoint.
  bool reject(const oci::Digest& blob);

  // For pushes: the endpoint to push to. Where plain HTTP may replace TLS, sends a request to find
  // out which of the two the host speaks.
  Task<SessionEndpoint*> push_endpoint();
  // Retries passing failures. A 2xx answer is a value, any other an error.
  Task<HttpResponse> with_retries(SessionEndpoint& endpoint, RegistryRequest request,
                                  RegistryBody& body);
  // Tokens requested from now on are also good for reading `repository`.
  void add_read_scope(const std::string& repository);

 private:
  RegistrySession(RegistryClient& client, oci::Reference reference, Access access);

  Task<HttpResponse> request_any(RegistryRequest request, RegistryBody& body);

  RegistryClient& client_;
  const oci::Reference reference_;
  Secrets secrets_;
  SessionEndpoints endpoints_;
  Authenticator authenticator_;
  Retries retries_;
};

}  // namespace berth::image
