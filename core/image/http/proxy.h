// SPDX-License-Identifier: Apache-2.0
// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as container tools read
// them (lower case too; NO_PROXY has hosts, ".domain", addresses, networks, "host:port" and "*").
// Loopback never goes through a proxy.
#pragma once

#include <string>

namespace berth::image {

struct ProxySettings {
  std::string http;  // may carry credentials: never shown
  std::string https;
  std::string no_proxy;

  // Call before threads are started: the environment has no lock.
  static ProxySettings from_environment();
};

// The proxy's URL, or empty.
std::string proxy_for(const ProxySettings& settings, const std::string& url);

}  // namespace berth::image
