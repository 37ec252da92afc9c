// SPDX-License-Identifier: Apache-2.0
// CRI: "PodSandboxStatus returns the status of the PodSandbox. If the PodSandbox is not present,
// returns an error." Only whole ids are found: the command line completes prefixes.
#include "core/base/units.h"
#include "cri/container/calls.h"
#include "cri/sandbox/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// 0: the sandbox has no init, or is stopped.
Task<int> init_pid_of(Node& node, const Sandbox& sandbox) {
  plugins::RuntimeHandler* const runtime = co_await node.handlers.runtime(sandbox.handler());
  Result<plugins::SandboxStatus> status = co_await runtime->sandbox_status(sandbox.id()).result();
  co_return status.ok() ? static_cast<int>(status->init_pid) : 0;
}

// One JSON object; empty: the network does not count, or cannot tell now.
Task<std::string> counters_of(Node& node, const records::SandboxRecord& record) {
  Result<plugins::Network*> network = node.networks.find(record.network());
  if (!network.ok()) co_return std::string();
  Result<std::optional<plugins::NetworkCounters>> counters =
      co_await (*network)->counters(record.id()).result();
  if (!counters.ok() || !counters->has_value()) co_return std::string();
  const plugins::NetworkCounters& all = **counters;
  std::string text = "{";
  const auto add = [&text](const char* name, std::uint64_t value) {
    text += (text.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + std::to_string(value);
  };
  add("rx_bytes", all.rx_bytes);
  add("rx_packets", all.rx_packets);
  add("rx_errors", all.rx_errors);
  add("rx_dropped", all.rx_dropped);
  add("tx_bytes", all.tx_bytes);
  add("tx_packets", all.tx_packets);
  add("tx_errors", all.tx_errors);
  add("tx_dropped", all.tx_dropped);
  co_return text + "}";
}

}  // namespace

Task<v1::PodSandboxStatusResponse> pod_sandbox_status(Node& node,
                                                      const v1::PodSandboxStatusRequest& request) {
  const std::shared_ptr<Sandbox> sandbox =
      co_await node.pods.need_sandbox("pod_sandbox_id", request.pod_sandbox_id());
  const records::SandboxRecord record = co_await records::load_sandbox(node.state, sandbox->id());
  v1::PodSandboxStatusResponse response;
  v1::PodSandboxStatus& status = *response.mutable_status();
  status.set_id(sandbox->id());
  *status.mutable_metadata() = sandbox->item.metadata();
  status.set_state(state_of(*sandbox));
  status.set_created_at(sandbox->item.created_at());
  *status.mutable_labels() = sandbox->item.labels();
  *status.mutable_annotations() = sandbox->item.annotations();
  status.set_runtime_handler(record.runtime_handler());
  v1::PodSandboxNetworkStatus* network = status.mutable_network();
  for (int i = 0; i < record.ips_size(); ++i) {
    if (i == 0) network->set_ip(record.ips(i));
    if (i > 0) network->add_additional_ips()->set_ip(record.ips(i));
  }
  *status.mutable_linux()->mutable_namespaces()->mutable_options() =
      record.config().linux().security_context().namespace_options();
  response.set_timestamp(realtime_now_ns());
  for (const std::string& id : sandbox->container_ids) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (container == nullptr) continue;
    const records::ContainerRecord made = co_await records::load_container(node.state, id);
    *response.add_containers_statuses() = container_status_message(*container, made);
  }
  if (request.verbose()) {
    auto& info = *response.mutable_info();
    info["stages"] = stages_json({sandbox->run_stages.get()});
    info["network"] = record.network();
    const std::string counters = co_await counters_of(node, record);
    if (!counters.empty()) info["network_counters"] = counters;
    const int init_pid = co_await init_pid_of(node, *sandbox);
    info["init_pid"] = std::to_string(init_pid);
  }
  co_return response;
}

}  // namespace berth::cri
