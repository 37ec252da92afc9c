// SPDX-License-Identifier: Apache-2.0
#include "cri/about/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::VersionResponse> version(Node&, const v1::VersionRequest&) {
  v1::VersionResponse response;
  // "Version of the kubelet runtime API": 0.1.0 since its first release.
  response.set_version("0.1.0");
  response.set_runtime_name("berth");
  response.set_runtime_version(kBerthVersion);
  response.set_runtime_api_version("v1");
  co_return response;
}

}  // namespace berth::cri
