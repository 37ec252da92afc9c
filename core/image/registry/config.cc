// SPDX-License-Identifier: Apache-2.0
// From configuration to places to ask.
#include "core/image/registry/config.h"

#include <algorithm>

#include "core/image/http/url.h"

namespace berth::image {
namespace {

// docker.io is served by another name.
std::string serving_host(const std::string& host) {
  return host == "docker.io" ? "registry-1.docker.io" : host;
}

bool has_tls(const HostEntry& entry) {
  return !entry.ca.empty() || !entry.client_cert.empty() || entry.skip_verify;
}

void take_capabilities(const HostEntry& entry, RegistryEndpoint& endpoint) {
  endpoint.can_pull = entry.can_pull;
  endpoint.can_resolve = entry.can_resolve;
  endpoint.can_push = entry.can_push;
}

}  // namespace

RegistryConfig::RegistryConfig(const RegistryOptions& options, Log& log)
    : options_(options), log_(log) {}

// Plain HTTP is for loopback and for what a flag names. On port 443 even loopback speaks TLS.
std::string RegistryConfig::scheme_of(const std::string& host) const {
  for (const std::string& insecure : options_.insecure_hosts) {
    if (insecure == host || insecure == host.substr(0, host.rfind(':'))) return "http";
  }
  return is_loopback_host(host) && !host.ends_with(":443") ? "http" : "https";
}

RegistryEndpoint RegistryConfig::plain_endpoint(const oci::Reference& reference) const {
  RegistryEndpoint endpoint;
  const std::string host = reference.registry_host();
  endpoint.base = scheme_of(host) + "://" + host + "/v2";
  endpoint.path = reference.path;
  return endpoint;
}

RegistryRoute RegistryConfig::hosts_route(const Hosts& hosts,
                                          const oci::Reference& reference) const {
  RegistryRoute route;
  for (const ConfiguredHost& host : hosts.hosts) {
    const HostEntry& entry = host.entry;
    RegistryEndpoint endpoint = plain_endpoint(reference);
    if (!entry.address.empty()) {
      // Checked when the file was read.
      const EndpointAddress address = MUST(parse_endpoint_address(entry.address));
      std::string path = address.path;
      if (!entry.override_path && !path.ends_with("/v2")) path += "/v2";
      const std::string address_host = serving_host(address.host);
      endpoint.base = address.scheme + "://" + address_host + path;
      const bool elsewhere = address_host != reference.registry_host();
      // `server`, the last, is the registry, under whatever name it is reached.
      endpoint.is_mirror = elsewhere && &host != &hosts.hosts.back();
      if (elsewhere) endpoint.ns = reference.domain;
    } else if (has_tls(entry)) {
      endpoint.base = "https://" + reference.registry_host() + "/v2";
    }
    take_capabilities(entry, endpoint);
    endpoint.headers = entry.headers;
    endpoint.tls = host.tls;
    endpoint.connect_timeout_ms = entry.dial_timeout_ms;
    route.endpoints.push_back(std::move(endpoint));
  }
  return route;
}

// "insecure" allows TLS that nobody vouches for, and plain HTTP where there is no TLS at all.
void RegistryConfig::add_location(RegistryRoute& route, const std::string& location, bool insecure,
                                  bool is_mirror) const {
  const std::size_t slash = location.find('/');
  const std::string host = serving_host(location.substr(0, slash));
  RegistryEndpoint endpoint;
  endpoint.path = slash == std::string::npos ? "" : location.substr(slash + 1);
  endpoint.is_mirror = is_mirror;
  endpoint.can_push = !is_mirror;
  if (!insecure) {
    endpoint.base = scheme_of(host) + "://" + host + "/v2";
    route.endpoints.push_back(std::move(endpoint));
    return;
  }
  TlsOptions unverified;
  unverified.skip_verify = true;
  endpoint.base = "https://" + host + "/v2";
  endpoint.tls = std::make_shared<const TlsOptions>(std::move(unverified));
  route.endpoints.push_back(endpoint);
  endpoint.base = "http://" + host + "/v2";
  endpoint.tls = nullptr;
  endpoint.is_fallback = true;
  route.endpoints.push_back(std::move(endpoint));
}

// Mirrors and other locations are for reading only.
RegistryRoute RegistryConfig::conf_route(const RegistriesConf::Registry& registry,
                                         const oci::Reference& reference, Access access) const {
  RegistryRoute route;
  if (access == Access::push) {
    add_location(route, reference.repository(), registry.insecure, false);
    return route;
  }
  using When = RegistriesConf::When;
  for (const RegistriesConf::Mirror& mirror : registry.mirrors) {
    const When kind = reference.digest.empty() ? When::by_tag : When::by_digest;
    if (mirror.when != When::always && mirror.when != kind) continue;
    add_location(route, relocated(reference, registry.prefix, mirror.location), mirror.insecure,
                 true);
  }
  const std::string primary = relocated(reference, registry.prefix, registry.location);
  const bool elsewhere =
      serving_host(primary.substr(0, primary.find('/'))) != reference.registry_host();
  add_location(route, primary, registry.insecure, elsewhere);
  return route;
}

Result<RegistryRoute> RegistryConfig::route(const oci::Reference& reference, Access access) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, conf());
  const RegistriesConf::Registry* const registry = find_registry(*registries, reference);
  if (registry != nullptr && registry->blocked) {
    return make_error(Errc::permission_denied,
                      "registry `" + registry->prefix + "` is blocked by " + registry->file);
  }
  bool is_default = false;
  const std::string directory = find_directory(reference.domain, is_default);
  if (!directory.empty() && (!is_default || registry == nullptr)) {
    TRY(const Hosts* const hosts, hosts_of(directory));
    if (!hosts->hosts.empty()) return hosts_route(*hosts, reference);
  }
  if (registry != nullptr) return conf_route(*registry, reference, access);
  RegistryRoute route;
  route.endpoints.push_back(plain_endpoint(reference));
  return route;
}

Result<std::vector<oci::Reference>> RegistryConfig::candidates(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, conf());
  return name_candidates(*registries, text);
}

ImageName RegistryConfig::image_name(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Result<const RegistriesConf*> registries = conf();
  if (registries.ok()) return image::image_name(**registries, text);
  // An id is one all the same.
  ImageName name = image::image_name(RegistriesConf(), text);
  name.references.clear();
  name.refusal = std::move(registries).error();
  return name;
}

Result<oci::Reference> RegistryConfig::given_name(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, conf());
  return image::given_name(*registries, text);
}

}  // namespace berth::image
