// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/route_builder.h"

#include <memory>

#include "core/image/http/url.h"

namespace berth::image {
namespace {

// Docker Hub's registry has another name than its images.
std::string serving_host(const std::string& host) {
  return host == "docker.io" ? "registry-1.docker.io" : host;
}

bool has_tls(const HostEntry& entry) {
  return !entry.ca.empty() || !entry.client_cert.empty() || entry.skip_verify;
}

}  // namespace

// Plain HTTP is for loopback and for hosts that the operator named. On port 443 loopback too
// speaks TLS.
std::string RouteBuilder::scheme_of(const std::string& host) const {
  for (const std::string& insecure : insecure_hosts_) {
    if (insecure == host || insecure == host.substr(0, host.rfind(':'))) return "http";
  }
  return is_loopback_host(host) && !host.ends_with(":443") ? "http" : "https";
}

RegistryEndpoint RouteBuilder::plain_endpoint(const oci::Reference& reference) const {
  RegistryEndpoint endpoint;
  const std::string host = reference.registry_host();
  endpoint.base = scheme_of(host) + "://" + host + "/v2";
  endpoint.path = reference.path;
  return endpoint;
}

RegistryRoute RouteBuilder::plain(const oci::Reference& reference) const {
  RegistryRoute route;
  route.endpoints.push_back(plain_endpoint(reference));
  return route;
}

RegistryRoute RouteBuilder::from_hosts(const std::vector<ConfiguredHost>& hosts,
                                       const oci::Reference& reference) const {
  RegistryRoute route;
  for (const ConfiguredHost& host : hosts) {
    const HostEntry& entry = host.entry;
    RegistryEndpoint endpoint = plain_endpoint(reference);
    if (!entry.address.empty()) {
      // parse_hosts_toml has checked the address.
      const EndpointAddress address = MUST(parse_endpoint_address(entry.address));
      std::string path = address.path;
      if (!entry.override_path && !path.ends_with("/v2")) path += "/v2";
      const std::string address_host = serving_host(address.host);
      endpoint.base = address.scheme + "://" + address_host + path;
      const bool elsewhere = address_host != reference.registry_host();
      // The last entry, `server`, is the registry itself, whatever its host is called.
      endpoint.is_mirror = elsewhere && &host != &hosts.back();
      if (elsewhere) endpoint.ns = reference.domain;
    } else if (has_tls(entry)) {
      endpoint.base = "https://" + reference.registry_host() + "/v2";
    }
    endpoint.can_pull = entry.can_pull;
    endpoint.can_resolve = entry.can_resolve;
    endpoint.can_push = entry.can_push;
    endpoint.headers = entry.headers;
    endpoint.tls = host.tls;
    endpoint.connect_timeout_ms = entry.dial_timeout_ms;
    route.endpoints.push_back(std::move(endpoint));
  }
  return route;
}

// `insecure` allows TLS without verification, and plain HTTP where the host does not speak TLS.
void RouteBuilder::add_location(RegistryRoute& route, const std::string& location, bool insecure,
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

RegistryRoute RouteBuilder::from_registry(const RegistriesConf::Registry& registry,
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

}  // namespace berth::image
