// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/client.h"

#include "core/image/registry/session.h"
#include "core/ring/offload.h"

namespace berth::image {

RegistryClient::RegistryClient(Ring& ring, Log& log, RegistryOptions options)
    : ring_(ring),
      log_(log),
      options_(std::move(options)),
      proxies_(ProxySettings::from_environment()),
      health_(options_.rest_ms, options_.rest_ms_max),
      config_(options_, log),
      idle_(*this) {}

RegistryClient::~RegistryClient() {
  CHECK(sessions_ == 0);
}

void RegistryClient::session_made() {
  ++sessions_;
  idle_.drop();
}

void RegistryClient::session_gone() {
  if (--sessions_ == 0) idle_.set(ring_.timers(), Deadline::after_ms(options_.idle_ms));
}

Task<std::vector<oci::Reference>> RegistryClient::candidates(std::string text) {
  const auto ask = [this, text] { return config_.candidates(text); };
  std::vector<oci::Reference> all = co_await offload(ring_, ask);
  co_return all;
}

Task<ImageName> RegistryClient::image_name(std::string text) {
  // CreateContainer names its image by id or in full: for these no file is read.
  const bool plain = is_image_id(text) || !is_short_name(text) || options_.registries_conf.empty();
  if (plain) co_return image::image_name(RegistriesConf(), text);
  const auto ask = [this, text]() -> Result<ImageName> { return config_.image_name(text); };
  ImageName name = co_await offload(ring_, ask);
  co_return name;
}

Task<oci::Reference> RegistryClient::given_name(std::string text) {
  const auto ask = [this, text] { return config_.given_name(text); };
  oci::Reference reference = co_await offload(ring_, ask);
  co_return reference;
}

Task<std::unique_ptr<RegistrySession>> RegistryClient::open(oci::Reference reference,
                                                            AuthConfig auth, Access access) {
  const auto ask = [this, reference, access] { return config_.route(reference, access); };
  RegistryRoute route = co_await offload(ring_, ask);
  if (http_ == nullptr) http_ = co_await HttpClient::create(ring_, options_.user_agent);
  Result<std::unique_ptr<RegistrySession>> session = RegistrySession::create(
      *this, std::move(reference), std::move(auth), std::move(route), access);
  co_return session;
}

}  // namespace berth::image
