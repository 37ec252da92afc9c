// SPDX-License-Identifier: Apache-2.0
// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, with the meaning that
// programs of this field give them (lower case too; NO_PROXY has hosts, ".domain", addresses,
// networks, "host:port" and "*"). Loopback never goes through a proxy.
#pragma once

#include <string>

namespace berth::image {

struct ProxySettings {
  std::string http;  // may carry credentials: never shown
  std::string https;
  std::string no_proxy;

  // Before threads are made: the environment is not locked.
  static ProxySettings from_environment();
};

// The proxy's URL, or empty.
std::string proxy_for(const ProxySettings& settings, const std::string& url);

}  // namespace berth::image
