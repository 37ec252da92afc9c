// SPDX-License-Identifier: Apache-2.0
// berth stop [-t SECONDS] POD|CONTAINER...
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/resolve.h"
#include "cri/cli/teardown.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct StopOptions {
  std::vector<std::string> names;
  std::int64_t grace_s = 10;
};

Result<int> stop(const Session& session, const StopOptions& options) {
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  for (const std::string& name : options.names) {
    TRY(const Target target, resolve(inventory, name));
    TRY_(stop_target(client, inventory, target, options.grace_s));
    print(name + "\n");
  }
  return 0;
}

}  // namespace

void add_stop(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "stop", "Stop pods or containers");
  auto options = std::make_shared<StopOptions>();
  command->add_option("POD|CONTAINER", options->names, "ids or names")->required();
  command->add_option("-t,--time", options->grace_s, "seconds before SIGKILL")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  on_run(command, session, [&session, options] { return stop(session, *options); });
}

}  // namespace berth::cli
