// SPDX-License-Identifier: Apache-2.0
// The agent's client of registries (OCI distribution-spec 1.1, and Docker's documents): the thread
// that moves bytes, the configuration of hosts, what is known of their health. One for the agent; a
// RegistrySession is one conversation with it. The home ring's thread only.
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
  // `ring` and `log` are borrowed. Reads the proxies from the environment. The thread is made by
  // the first open() and ends when no session was there for a while: an idle agent has none.
  RegistryClient(Ring& ring, Log& log, RegistryOptions options);
  RegistryClient(const RegistryClient&) = delete;
  RegistryClient& operator=(const RegistryClient&) = delete;
  ~RegistryClient();

  // What `text` may stand for, in the order to try: the next one when the one before is not_found.
  // invalid_argument: it is no name, or a short name that the configuration refuses; the text
  // lists what it could be.
  Task<std::vector<oci::Reference>> candidates(std::string text);
  // What `text` means for a lookup; no registry is asked. Never fails: see ImageName::refusal.
  Task<ImageName> image_name(std::string text);
  // What an image is to be called that is given the name `text`. Errors as for candidates, also
  // where there is more than one.
  Task<oci::Reference> given_name(std::string text);

  // A conversation about one repository, with the configuration of this moment. `auth` is the
  // CRI's, as it came. permission_denied: the registry is blocked; failed_precondition: the
  // configuration is broken; invalid_argument: `auth` is not what it says it is. Every session is
  // destroyed before the client.
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
