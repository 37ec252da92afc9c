// SPDX-License-Identifier: Apache-2.0
// berth exec CONTAINER CMD...: uses ExecSync, so the output is printed after the command has ended,
// and is at most 16 MiB.
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/logs/cri_log.h"
#include "cri/cli/resolve.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

// The time that the runtime has, after the limit was reached, to kill the command and to answer.
constexpr std::chrono::seconds kGrace{10};

struct ExecOptions {
  std::string container;
  std::vector<std::string> command;
};

Result<int> exec(const Session& session, const ExecOptions& options) {
  if (options.command.empty()) return make_error(Errc::invalid_argument, "no command given");
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  TRY(const Target target, resolve_container(inventory, options.container));
  cri::ExecSyncRequest request;
  request.set_container_id(target.id);
  request.set_timeout(session.timeout_s);
  for (const std::string& word : options.command) request.add_cmd(word);
  const auto limit =
      session.timeout_s > 0 ? session.long_call_timeout() + kGrace : session.long_call_timeout();
  TRY(const auto response, client.call(&Runtime::Stub::ExecSync, request, limit));
  StandardSink sink;
  TRY_(sink.write(Stream::out, response.stdout()));
  TRY_(sink.write(Stream::err, response.stderr()));
  return response.exit_code();
}

}  // namespace

void add_exec(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "exec", "Run a command in a running container");
  auto options = std::make_shared<ExecOptions>();
  command->get_option("--timeout")->description("seconds the command may take; 0: no limit");
  command->add_option("CONTAINER", options->container, "id, name or pod of one container")
      ->required();
  command->prefix_command();
  command->footer("All after CONTAINER is the command, with its options.");
  on_run(command, session, [command, &session, options] {
    options->command = command_words(command, session);
    return exec(session, *options);
  });
}

}  // namespace berth::cli
