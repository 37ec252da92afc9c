// SPDX-License-Identifier: Apache-2.0
// CRI: RuntimeConfig tells the kubelet which cgroup driver to use; ours writes cgroupfs itself.
// UpdateRuntimeConfig brings the pod CIDR at every start of the kubelet. It is checked and not
// kept: none of the networks here assigns addresses.
#include "cri/about/calls.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::RuntimeConfigResponse> runtime_config(Node&, const v1::RuntimeConfigRequest&) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(v1::CgroupDriver::CGROUPFS);
  co_return response;
}

Task<v1::UpdateRuntimeConfigResponse> update_runtime_config(
    Node&, const v1::UpdateRuntimeConfigRequest& request) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  co_await check_name_if_set("runtime_config.network_config.pod_cidr", cidr);
  co_return v1::UpdateRuntimeConfigResponse();
}

}  // namespace berth::cri
