// SPDX-License-Identifier: Apache-2.0
// A client for one repository of one registry (OCI distribution-spec 1.1, "pull"): manifests into
// memory, blobs into an Ingest. It authenticates when asked to (basic, bearer), follows redirects
// without giving credentials to another origin, and tries again what may pass: cut connections
// (continuing where it stopped), 429 and 5xx. Calls block and may come from several threads at
// once.
//
// Errors name method, URL without query, and HTTP status: "GET http://h/v2/app/manifests/1: 404
// (MANIFEST_UNKNOWN: manifest unknown)". not_found, unauthenticated, permission_denied,
// resource_exhausted (429), unavailable (5xx, no connection), data_loss (wrong bytes), cancelled.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>

#include "core/base/result.h"
#include "core/image/auth.h"
#include "core/image/content.h"
#include "core/image/http.h"
#include "core/image/reference.h"
#include "core/image/registry_bodies.h"
#include "core/image/registry_options.h"
#include "core/oci/image.h"

namespace berth::image {

class Repository {
 public:
  // `transport` is borrowed. `auth` is that of the pull (see effective_auth). A set `stop` ends
  // every call with cancelled.
  Repository(HttpTransport& transport, const RegistryOptions& options, const Reference& reference,
             AuthConfig auth, std::stop_token stop);

  // Whether something speaks the protocol there.
  Status ping();
  // `name` is a tag or the text of a digest.
  Result<RemoteDocument> head_manifest(const std::string& name);
  Result<RemoteDocument> get_manifest(const std::string& name);
  // Fills `ingest` from its offset to the end, without committing it. `fetched` follows the number
  // of bytes that are there; `transferred` counts what came over the network.
  Status get_blob(const oci::Descriptor& blob, Ingest& ingest, std::atomic<std::uint64_t>& fetched,
                  std::atomic<std::uint64_t>& transferred);

 private:
  struct Answer {
    HttpResponse response;
    std::string url;  // after redirects
  };

  std::string url_of(const std::string& kind, const std::string& name) const;
  // Retries around authorised(), and turns what is left into an Error.
  Result<HttpResponse> request(const HttpRequest& request, BodySink& sink, unsigned attempts_max);
  // Answers a 401 once.
  Result<Answer> authorised(const HttpRequest& request, BodySink& sink);
  // Follows redirects; `authorization` only for the first origin.
  Result<Answer> follow(const HttpRequest& request, const std::string& authorization,
                        BodySink& sink);
  std::string authorization() const;
  // Makes the next authorization() one that answers `challenge`, unless another thread already
  // replaced `refused`.
  Status answer_challenge(const HttpResponse& response, const std::string& refused);
  Result<std::string> fetch_token(const Challenge& challenge);
  Result<HttpRequest> token_request(const Challenge& challenge) const;
  Status pause(std::int64_t delay_ms);

  HttpTransport& transport_;
  RegistryOptions options_;
  std::string base_;  // "http://127.0.0.1:5000"
  std::string path_;  // "library/busybox"
  AuthConfig auth_;
  std::stop_token stop_;
  mutable std::mutex mutex_;   // authorization_
  std::mutex token_mutex_;     // one token request at a time; taken before mutex_
  std::string authorization_;  // value of the header; a secret
};

}  // namespace berth::image
