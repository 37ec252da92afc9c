// SPDX-License-Identifier: Apache-2.0
// CRI: "Status returns the status of the runtime." Two conditions are required: RuntimeReady and
// NetworkReady. Only features that work are announced: a client skips or uses them by this answer.
#include "core/base/units.h"
#include "cri/about/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

void add_handler(v1::StatusResponse& response, std::string_view name) {
  v1::RuntimeHandler* handler = response.add_runtime_handlers();
  handler->set_name(std::string(name));
  handler->mutable_features()->set_recursive_read_only_mounts(true);
  handler->mutable_features()->set_user_namespaces(false);
}

// Attempts that are running now, and how long each has waited in which stage, for the question
// "what is it stuck in".
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
  const plugins::NetworkStatus network = node.pod_network.status();
  v1::RuntimeCondition* condition = response.mutable_status()->add_conditions();
  condition->set_type("NetworkReady");
  condition->set_status(network.ready);
  condition->set_reason(network.reason);
  condition->set_message(network.message);
  // The handler without a name is the default one; clients look it up by this empty name.
  add_handler(response, "");
  add_handler(response, node.handler.name());
  response.mutable_features()->set_supplemental_groups_policy(true);
  response.mutable_features()->set_mount_options(true);
  if (request.verbose()) {
    auto& info = *response.mutable_info();
    const Ring::Counters counters = node.ring.counters();
    info["snapshotter"] = std::string(node.snapshotter.name());
    info["network"] = std::string(node.pod_network.name());
    info["resources"] = std::string(node.resources.name());
    info["rootfs_mounts"] = node.mount_features.describe();
    info["keeper_pid"] = std::to_string(node.keeper.keeper_pid());
    info["keeper_starts"] = std::to_string(node.keeper.starts());
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
