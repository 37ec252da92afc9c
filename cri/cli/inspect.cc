// SPDX-License-Identifier: Apache-2.0
// berth inspect POD|CONTAINER|IMAGE...: prints the verbose status as JSON.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/resolve.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

Result<Json> pod_json(Client& client, const std::string& id) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  request.set_verbose(true);
  TRY(const auto response, client.call(&Runtime::Stub::PodSandboxStatus, request));
  return Json{{"kind", "pod"},
              {"status", message_json(response.status())},
              {"info", info_json(response.info())}};
}

Result<Json> container_json(Client& client, const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  request.set_verbose(true);
  TRY(const auto response, client.call(&Runtime::Stub::ContainerStatus, request));
  return Json{{"kind", "container"},
              {"status", message_json(response.status())},
              {"info", info_json(response.info())}};
}

Result<Json> image_json(Client& client, const std::string& reference) {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(reference);
  request.set_verbose(true);
  TRY(const auto response, client.call(&Images::Stub::ImageStatus, request));
  if (!response.has_image()) {
    return make_error(Errc::not_found, "no pod, container or image `" + reference + "`");
  }
  return Json{{"kind", "image"},
              {"image", message_json(response.image())},
              {"info", info_json(response.info())}};
}

Result<Json> json_of(Client& client, const Inventory& inventory, const std::string& name) {
  const Result<Target> target = resolve(inventory, name);
  if (target.ok()) {
    return target.value().kind == Kind::pod ? pod_json(client, target.value().id)
                                            : container_json(client, target.value().id);
  }
  if (target.error().code != Errc::not_found) return target.error();
  return image_json(client, name);
}

Result<int> inspect(const Session& session, const std::vector<std::string>& names) {
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  Json all = Json::array();
  for (const std::string& name : names) {
    TRY(Json json, json_of(client, inventory, name));
    all.push_back(std::move(json));
  }
  print_json(all);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "inspect", "Print all that is known, as JSON");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("POD|CONTAINER|IMAGE", *names, "ids, names or references")->required();
  add_output_option(command, session);
  on_run(command, session, [&session, names] { return inspect(session, *names); });
}

}  // namespace berth::cli
