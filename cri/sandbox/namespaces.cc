// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/namespaces.h"

namespace berth::cri {

namespace v1 = runtime::v1;

plugins::SandboxNamespaces namespaces_of(const v1::PodSandboxConfig& config) {
  const v1::NamespaceOption& options = config.linux().security_context().namespace_options();
  plugins::SandboxNamespaces namespaces;
  namespaces.network = options.network() != v1::NamespaceMode::NODE;
  namespaces.uts = namespaces.network;
  namespaces.ipc = options.ipc() != v1::NamespaceMode::NODE;
  namespaces.pid = options.pid() == v1::NamespaceMode::POD;
  return namespaces;
}

std::string hostname_of(const v1::PodSandboxConfig& config) {
  constexpr std::size_t kHostnameBytesMax = 64;  // __NEW_UTS_LEN
  const std::string& name =
      config.hostname().empty() ? config.metadata().name() : config.hostname();
  return name.substr(0, kHostnameBytesMax);
}

}  // namespace berth::cri
