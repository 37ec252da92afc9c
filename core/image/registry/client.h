// SPDX-License-Identifier: Apache-2.0
// The agent's client of registries (OCI distribution-spec 1.1, and Docker's documents): the
// transfer thread, the configuration of hosts, and their health. There is one for the agent; it
// opens a RegistrySession for each pull and push. The home ring's thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/image/config/config.h"
#include "core/image/config/image_name.h"
#include "core/image/config/options.h"
#include "core/image/http/client.h"
#include "core/image/http/proxy.h"
#include "core/image/registry/auth.h"
#include "core/image/registry/endpoint_health.h"
#include "core/oci/reference.h"
#include "core/task/task.h"

namespace berth::image {

class RegistrySession;

class RegistryClient {
 public:
  // `ring` and `log` are borrowed. Reads the proxies from the environment. The first open() starts
  // the thread; it ends after idle_ms without a session.
  RegistryClient(Ring& ring, Log& log, RegistryOptions options);
  RegistryClient(const RegistryClient&) = delete;
  RegistryClient& operator=(const RegistryClient&) = delete;
  ~RegistryClient();

  // The references that `text` may mean, in the order to try: the next one if the one before is
  // not_found. invalid_argument: `text` is not a name, or a short name that the configuration
  // refuses; the error lists the candidates.
  Task<std::vector<oci::Reference>> candidates(std::string text);
  // The meaning of `text` in a lookup; sends no request. Never fails: see ImageName::refusal.
  Task<ImageName> image_name(std::string text);
  // The reference for a new name `text`. Errors as for candidates, and when it is ambiguous.
  Task<oci::Reference> given_name(std::string text);

  // A session for one repository, with the configuration in force now. `auth` is the CRI's,
  // unchanged. permission_denied: the registry is blocked; failed_precondition: the configuration
  // cannot be used; invalid_argument: `auth` is malformed. Destroy every session before the client.
  Task<std::unique_ptr<RegistrySession>> open(oci::Reference reference, AuthConfig auth,
                                              Access access);

  // For sessions.
  Ring& ring() { return ring_; }
  HttpClient& http() { return *http_; }
  EndpointHealth& health() { return health_; }
  Log& log() { return log_; }
  const RegistryOptions& options() const { return options_; }
  const ProxySettings& proxies() const { return proxies_; }
  void session_made();
  void session_gone();

 private:
  class Idle final : public Timer {
   public:
    explicit Idle(RegistryClient& client) : client_(client) {}

   private:
    void on_time() noexcept override { client_.http_.reset(); }
    RegistryClient& client_;
  };

  Ring& ring_;
  Log& log_;
  const RegistryOptions options_;
  const ProxySettings proxies_;
  EndpointHealth health_;
  RegistryConfig config_;             // used on offload threads
  std::unique_ptr<HttpClient> http_;  // null while idle
  std::size_t sessions_ = 0;
  Idle idle_;
};

}  // namespace berth::image
