// SPDX-License-Identifier: Apache-2.0
#include "bench/cri/clean.h"

#include <string>

#include "bench/cri/plan.h"
#include "cri/cli/teardown.h"

namespace berth::bench {

namespace cri = ::runtime::v1;

Result<int> clean(cli::Client& client) {
  cri::ListPodSandboxRequest request;
  (*request.mutable_filter()->mutable_label_selector())[kBenchLabel] = "1";
  TRY(const auto pods, client.call(&cli::Runtime::Stub::ListPodSandbox, request));
  for (const cri::PodSandbox& pod : pods.items()) {
    TRY_(cli::stop_sandbox(client, pod.id()));
    TRY_(cli::remove_sandbox(client, pod.id()));
  }
  return pods.items_size();
}

Status check_kept(cli::Client& client, int pods) {
  cri::ListContainersRequest request;
  (*request.mutable_filter()->mutable_label_selector())[kBenchLabel] = "1";
  request.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  TRY(const auto running, client.call(&cli::Runtime::Stub::ListContainers, request));
  if (running.containers_size() >= pods) return {};
  return make_error(Errc::failed_precondition,
                    "of " + std::to_string(pods) + " kept containers only " +
                        std::to_string(running.containers_size()) + " still run");
}

}  // namespace berth::bench
