// SPDX-License-Identifier: Apache-2.0
// berth explain POD: prints how long each stage of the pod's start took, as measured by the agent.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/resolve.h"
#include "cri/cli/stage_tree.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

using Info = google::protobuf::Map<std::string, std::string>;

Status add_calls(const Info& info, const std::string& of, std::vector<CallTimes>* calls) {
  const auto stages = info.find(kStagesKey);
  if (stages == info.end()) return {};
  TRY(auto parsed, parse_stages(stages->second, of));
  for (CallTimes& call : parsed) calls->push_back(std::move(call));
  return {};
}

Result<std::vector<CallTimes>> calls_of(Client& client, const Inventory& inventory,
                                        const Target& pod) {
  std::vector<CallTimes> calls;
  cri::PodSandboxStatusRequest sandbox;
  sandbox.set_pod_sandbox_id(pod.id);
  sandbox.set_verbose(true);
  TRY(const auto status, client.call(&Runtime::Stub::PodSandboxStatus, sandbox));
  TRY_(add_calls(status.info(), "", &calls));
  for (const Target& target : containers_of(inventory, pod.id)) {
    cri::ContainerStatusRequest container;
    container.set_container_id(target.id);
    container.set_verbose(true);
    TRY(const auto inside, client.call(&Runtime::Stub::ContainerStatus, container));
    TRY_(add_calls(inside.info(), target.name, &calls));
  }
  return calls;
}

Error no_stages(Client& client) {
  const auto version = client.call(&Runtime::Stub::Version, cri::VersionRequest());
  const std::string name = version.ok() ? version.value().runtime_name() : "this runtime";
  return make_error(Errc::unimplemented, name + " does not report the stages of a start");
}

Json stage_json(const Stage& stage) {
  Json json = {{"name", stage.name}, {"us", stage.us}};
  for (const Stage& step : stage.steps) json["steps"].push_back(stage_json(step));
  return json;
}

Json calls_json(const std::vector<CallTimes>& calls) {
  Json all = Json::array();
  for (const CallTimes& call : calls) {
    Json stages = Json::array();
    for (const Stage& stage : call.stages) stages.push_back(stage_json(stage));
    all.push_back({{"rpc", call.rpc},
                   {"container", call.of},
                   {"total_us", call.total_us},
                   {"in_progress", call.in_progress},
                   {"stages", std::move(stages)}});
  }
  return all;
}

Result<int> explain(const Session& session, const std::string& name) {
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  TRY(const Target pod, resolve_pod(inventory, name));
  TRY(const auto calls, calls_of(client, inventory, pod));
  if (calls.empty()) return no_stages(client);
  if (session.json()) {
    print_json(calls_json(calls));
  } else {
    print("pod " + pod.name + " " + short_id(pod.id) + "\n" + stage_tree(calls));
  }
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Session& session) {
  CLI::App* command =
      add_verb(app, session, "explain", "Show where the time of a pod's start went");
  auto name = std::make_shared<std::string>();
  command->add_option("POD", *name, "id, name or a container of it")->required();
  add_output_option(command, session);
  on_run(command, session, [&session, name] { return explain(session, *name); });
}

}  // namespace berth::cli
