// SPDX-License-Identifier: Apache-2.0
// berth ps [-a] [-q] [-o json]
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "core/base/units.h"
#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct PsOptions {
  bool all = false;
  bool quiet = false;
  bool whole_ids = false;
};

// The list contains neither start, end nor exit code, so each row needs a ContainerStatus call. A
// container that was removed in between is shown with the state from the list.
std::string status_text(Client& client, const cri::Container& container, std::int64_t now) {
  cri::ContainerStatusRequest request;
  request.set_container_id(container.id());
  const auto response = client.call(&Runtime::Stub::ContainerStatus, request);
  if (!response.ok()) {
    return container.state() == cri::CONTAINER_RUNNING ? "Running" : "Not running";
  }
  const cri::ContainerStatus& status = response.value().status();
  switch (status.state()) {
    case cri::CONTAINER_CREATED:
      return "Created";
    case cri::CONTAINER_RUNNING:
      return "Up " + age(status.started_at(), now);
    case cri::CONTAINER_EXITED:
      return fmt::format("Exited ({}) {} ago", status.exit_code(), age(status.finished_at(), now));
    default:
      return "Unknown";
  }
}

std::string image_text(const cri::Container& container) {
  const std::string& given = container.image().user_specified_image();
  return short_id(given.empty() ? container.image().image() : given);
}

Result<std::map<std::string, std::string>> pod_names(Client& client) {
  TRY(const auto pods, client.call(&Runtime::Stub::ListPodSandbox, cri::ListPodSandboxRequest()));
  std::map<std::string, std::string> names;
  for (const cri::PodSandbox& pod : pods.items()) names[pod.id()] = pod.metadata().name();
  return names;
}

Result<int> ps(const Session& session, const PsOptions& options) {
  Client client = session.connect();
  cri::ListContainersRequest request;
  if (!options.all) request.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  TRY(auto response, client.call(&Runtime::Stub::ListContainers, request));
  if (session.json()) {
    print_json(message_json(response)["containers"]);
    return 0;
  }
  auto& rows = *response.mutable_containers();
  std::sort(rows.begin(), rows.end(), [](const cri::Container& a, const cri::Container& b) {
    return a.created_at() > b.created_at();
  });
  if (options.quiet) {
    for (const cri::Container& row : rows) {
      print((options.whole_ids ? row.id() : short_id(row.id())) + "\n");
    }
    return 0;
  }
  TRY(auto names, pod_names(client));
  Table table({"CONTAINER ID", "IMAGE", "CREATED", "STATUS", "NAME", "POD ID", "POD"});
  const std::int64_t now = realtime_now_ns();
  for (const cri::Container& row : rows) {
    table.add({options.whole_ids ? row.id() : short_id(row.id()), image_text(row),
               age(row.created_at(), now) + " ago", status_text(client, row, now),
               row.metadata().name(), short_id(row.pod_sandbox_id()), names[row.pod_sandbox_id()]});
  }
  print(table.text());
  return 0;
}

}  // namespace

void add_ps(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "ps", "List containers");
  auto options = std::make_shared<PsOptions>();
  command->add_flag("-a,--all", options->all, "also those that do not run");
  command->add_flag("-q,--quiet", options->quiet, "print ids only");
  command->add_flag("--no-trunc", options->whole_ids, "whole ids");
  add_output_option(command, session);
  on_run(command, session, [&session, options] { return ps(session, *options); });
}

}  // namespace berth::cli
