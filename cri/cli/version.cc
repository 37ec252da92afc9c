// SPDX-License-Identifier: Apache-2.0
// berth version [-o json]
#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

Result<int> version(const Session& session) {
  if (!session.json()) print(std::string("client   berth ") + BERTH_VERSION + "\n");
  Client client = session.connect();
  TRY(const auto server, client.call(&Runtime::Stub::Version, cri::VersionRequest()));
  if (session.json()) {
    print_json(Json{{"client", {{"name", "berth"}, {"version", BERTH_VERSION}}},
                    {"server", message_json(server)}});
    return 0;
  }
  print("server   " + server.runtime_name() + " " + server.runtime_version() + " (CRI " +
        server.runtime_api_version() + ") at " + client.endpoint() + "\n");
  return 0;
}

}  // namespace

void add_version(CLI::App& app, Session& session) {
  CLI::App* command =
      add_verb(app, session, "version", "Show this program's and the runtime's version");
  add_output_option(command, session);
  on_run(command, session, [&session] { return version(session); });
}

}  // namespace berth::cli
