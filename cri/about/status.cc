// SPDX-License-Identifier: Apache-2.0
// CRI: "Status returns the status of the runtime." Two conditions are required: RuntimeReady and
// NetworkReady. Only features that work are announced: a client skips or uses them by this answer.
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/units.h"
#include "cri/about/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

void add_handler(v1::StatusResponse& response, const std::string& name, const Handler& handler) {
  const plugins::RuntimeFeatures features = handler.runtime->features();
  v1::RuntimeHandler* added = response.add_runtime_handlers();
  added->set_name(name);
  added->mutable_features()->set_recursive_read_only_mounts(features.recursive_read_only_mounts);
  added->mutable_features()->set_user_namespaces(features.user_namespaces);
}

// Of the default handler's network. A kubelet that sees NetworkReady starts pods with a network of
// their own and re-creates each sandbox that reports no address; while it is false, it starts pods
// of the host's network only.
void add_network_condition(v1::StatusResponse& response, const Handler& handler,
                           const Networks& networks) {
  plugins::NetworkStatus network = handler.network(networks).status();
  const bool is_chosen = handler.chosen_network != nullptr;
  if (network.ready && !network.is_reachable && !is_chosen) network.ready = false;
  v1::RuntimeCondition* condition = response.mutable_status()->add_conditions();
  condition->set_type("NetworkReady");
  condition->set_status(network.ready);
  if (network.ready) return;
  condition->set_reason(network.reason);
  std::string message;
  if (!is_chosen) message = networks.why_passed_over();
  condition->set_message(message + network.message);
}

// {"native":{"keeper":"BUILD"}}
std::string versions_json(const Node& node) {
  nlohmann::json all = nlohmann::json::object();
  for (const Handler& handler : node.handlers.all()) {
    nlohmann::json& parts = all[handler.name] = nlohmann::json::object();
    for (const auto& [part, version] : handler.runtime->versions()) parts[part] = version;
  }
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The running attempts with the stage that each is in and the time it has waited there.
std::string attempts_json(const Node& node) {
  std::string text = "[";
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    if (sandbox->run_stages == nullptr || !sandbox->run_stages->in_progress()) continue;
    if (text.size() > 1) text += ',';
    text += "{\"sandbox\":\"" + id + "\",\"run\":" + sandbox->run_stages->json() + "}";
  }
  for (const auto& [id, container] : node.pods.containers()) {
    if (container->start_stages == nullptr || !container->start_stages->in_progress()) continue;
    if (text.size() > 1) text += ',';
    text += "{\"container\":\"" + id + "\",\"start\":" + container->start_stages->json() + "}";
  }
  return text + "]";
}

}  // namespace

Task<v1::StatusResponse> status(Node& node, const v1::StatusRequest& request) {
  v1::StatusResponse response;
  v1::RuntimeCondition* runtime = response.mutable_status()->add_conditions();
  runtime->set_type("RuntimeReady");
  runtime->set_status(true);
  const Handler& standard = node.handlers.default_handler();
  add_network_condition(response, standard, node.networks);
  // Clients look the default handler up by the empty name.
  add_handler(response, "", standard);
  for (const Handler& handler : node.handlers.all()) add_handler(response, handler.name, handler);
  response.mutable_features()->set_supplemental_groups_policy(true);
  response.mutable_features()->set_mount_options(true);
  if (request.verbose()) {
    auto& info = *response.mutable_info();
    const Ring::Counters counters = node.ring.counters();
    info["snapshotter"] = std::string(node.snapshotter.name());
    info["network"] = std::string(standard.network(node.networks).name());
    info["versions"] = versions_json(node);
    for (const plugins::RuntimeHandler* runtime : node.handlers.runtimes()) {
      for (auto& [name, value] : runtime->info()) info[name] = value;
    }
    info["resources"] = std::string(node.resources.name());
    info["rootfs_mounts"] = node.mount_features.describe();
    info["ring"] = "{\"wakeups\":" + std::to_string(counters.wakeups) +
                   ",\"submitted\":" + std::to_string(counters.submitted) +
                   ",\"completed\":" + std::to_string(counters.completed) +
                   ",\"posts\":" + std::to_string(counters.posts) + "}";
    info["attempts"] = attempts_json(node);
    info["pods"] = std::to_string(node.pods.sandboxes().size());
    info["containers"] = std::to_string(node.pods.containers().size());
  }
  co_return response;
}

}  // namespace berth::cri
