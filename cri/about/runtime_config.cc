// SPDX-License-Identifier: Apache-2.0
// CRI: RuntimeConfig tells the kubelet which cgroup driver to use; ours writes cgroupfs itself.
// UpdateRuntimeConfig brings the node's pod CIDRs at every start of the kubelet, separated by
// commas; an empty text changes nothing (CRI, NetworkConfig.pod_cidr).
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cri/about/calls.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kField = "runtime_config.network_config.pod_cidr";

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

Task<v1::RuntimeConfigResponse> runtime_config(Node&, const v1::RuntimeConfigRequest&) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(v1::CgroupDriver::CGROUPFS);
  co_return response;
}

Task<v1::UpdateRuntimeConfigResponse> update_runtime_config(
    Node& node, const v1::UpdateRuntimeConfigRequest& request) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  co_await check_name_if_set(kField, cidr);
  if (cidr.empty()) co_return v1::UpdateRuntimeConfigResponse();
  plugins::NetworkConfig config{.pod_cidrs = split_at_commas(cidr)};
  Result<void> configured = co_await node.networks.configure(std::move(config)).result();
  if (!configured.ok()) co_await fail(std::move(configured).error().with(kField));
  co_return v1::UpdateRuntimeConfigResponse();
}

}  // namespace berth::cri
