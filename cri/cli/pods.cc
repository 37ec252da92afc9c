// SPDX-License-Identifier: Apache-2.0
// berth pods [-q] [-o json] [--label K=V]
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct PodsOptions {
  std::vector<std::string> labels;
  bool quiet = false;
  bool ready_only = false;
  bool whole_ids = false;
};

Result<cri::ListPodSandboxRequest> request_of(const PodsOptions& options) {
  cri::ListPodSandboxRequest request;
  for (const std::string& label : options.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      return make_error(Errc::invalid_argument, "--label `" + label + "`: want KEY=VALUE");
    }
    auto& selector = *request.mutable_filter()->mutable_label_selector();
    selector[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (options.ready_only) {
    request.mutable_filter()->mutable_state()->set_state(cri::SANDBOX_READY);
  }
  return request;
}

Result<int> pods(const Session& session, const PodsOptions& options) {
  Client client = session.connect();
  TRY(const auto request, request_of(options));
  TRY(auto response, client.call(&Runtime::Stub::ListPodSandbox, request));
  if (session.json()) {
    print_json(message_json(response)["items"]);
    return 0;
  }
  auto& items = *response.mutable_items();
  std::sort(items.begin(), items.end(), [](const cri::PodSandbox& a, const cri::PodSandbox& b) {
    return a.created_at() > b.created_at();
  });
  Table table({"POD ID", "CREATED", "STATE", "NAMESPACE", "ATTEMPT", "HANDLER", "NAME"});
  const std::int64_t now = realtime_now_ns();
  for (const cri::PodSandbox& pod : items) {
    const std::string id = options.whole_ids ? pod.id() : short_id(pod.id());
    if (options.quiet) print(id + "\n");
    table.add({id, age(pod.created_at(), now) + " ago",
               pod.state() == cri::SANDBOX_READY ? "Ready" : "NotReady",
               pod.metadata().namespace_(), std::to_string(pod.metadata().attempt()),
               pod.runtime_handler().empty() ? "(default)" : pod.runtime_handler(),
               pod.metadata().name()});
  }
  if (!options.quiet) print(table.text());
  return 0;
}

}  // namespace

void add_pods(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "pods", "List pods");
  auto options = std::make_shared<PodsOptions>();
  command->add_flag("-q,--quiet", options->quiet, "print ids only");
  command->add_flag("--ready", options->ready_only, "only pods that are ready");
  command->add_option("--label", options->labels, "only pods with this label, KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--no-trunc", options->whole_ids, "whole ids");
  add_output_option(command, session);
  on_run(command, session, [&session, options] { return pods(session, *options); });
}

}  // namespace berth::cli
