// SPDX-License-Identifier: Apache-2.0
// berth version [-o json]: this program's version, the runtime's, and those of the parts of each of
// berth's runtime handlers.
#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

// {"native":{"keeper":"BUILD"}}; empty for a runtime that does not tell.
Json handler_versions(Client& client) {
  cri::StatusRequest request;
  request.set_verbose(true);
  const auto status = client.call(&Runtime::Stub::Status, request);
  if (!status.ok()) return Json::object();
  const auto found = status->info().find("versions");
  if (found == status->info().end()) return Json::object();
  Json versions = Json::parse(found->second, nullptr, false);
  return versions.is_object() ? versions : Json::object();
}

void print_handlers(const Json& handlers) {
  for (const auto& [handler, parts] : handlers.items()) {
    if (!parts.is_object()) continue;
    for (const auto& [part, version] : parts.items()) {
      if (version.is_string()) {
        print("handler  " + handler + ": " + part + " " + version.get<std::string>() + "\n");
      }
    }
  }
}

Result<int> version(const Session& session) {
  if (!session.json()) print(std::string("client   berth ") + BERTH_VERSION + "\n");
  Client client = session.connect();
  TRY(const auto server, client.call(&Runtime::Stub::Version, cri::VersionRequest()));
  const Json handlers = handler_versions(client);
  if (session.json()) {
    print_json(Json{{"client", {{"name", "berth"}, {"version", BERTH_VERSION}}},
                    {"server", message_json(server)},
                    {"handlers", handlers}});
    return 0;
  }
  print("server   " + server.runtime_name() + " " + server.runtime_version() + " (CRI " +
        server.runtime_api_version() + ") at " + client.endpoint() + "\n");
  print_handlers(handlers);
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
