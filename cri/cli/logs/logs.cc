// SPDX-License-Identifier: Apache-2.0
// berth logs [-f] [--tail N] [--timestamps] CONTAINER
#include <memory>
#include <optional>
#include <string>

#include "cri/cli/follow_exit.h"
#include "cri/cli/logs/follow.h"
#include "cri/cli/resolve.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct LogsOptions {
  std::string container;
  bool follow = false;
  bool timestamps = false;
  std::optional<std::size_t> tail;
};

Result<std::string> log_path(Client& client, const std::string& container_id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(container_id);
  TRY(const auto response, client.call(&Runtime::Stub::ContainerStatus, request));
  if (response.status().log_path().empty()) {
    return make_error(Errc::not_found, "container `" + container_id + "` keeps no log");
  }
  return response.status().log_path();
}

Result<int> logs(const Session& session, const LogsOptions& options) {
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  TRY(const Target target, resolve_container(inventory, options.container));
  TRY(const std::string path, log_path(client, target.id));
  StandardSink sink;
  TRY(LogFollow log, LogFollow::open(path, sink, options.timestamps));
  if (options.tail) TRY_(log.skip_to_tail(*options.tail));
  if (!options.follow) {
    TRY_(log.drain());
    return 0;
  }
  TRY_(follow_until_exit(client, target.id, log, nullptr));
  return 0;
}

}  // namespace

void add_logs(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "logs", "Show a container's log");
  auto options = std::make_shared<LogsOptions>();
  command->add_option("CONTAINER", options->container, "id, name or pod of one container")
      ->required();
  command->add_flag("-f,--follow", options->follow, "wait for more until the container ends");
  command->add_option("--tail,-n", options->tail, "only the last lines");
  command->add_flag("-t,--timestamps", options->timestamps, "begin each line with its time");
  on_run(command, session, [&session, options] { return logs(session, *options); });
}

}  // namespace berth::cli
