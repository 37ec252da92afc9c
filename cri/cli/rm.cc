// SPDX-License-Identifier: Apache-2.0
// berth rm [-f] POD|CONTAINER...
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/resolve.h"
#include "cri/cli/teardown.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct RmOptions {
  std::vector<std::string> names;
  bool force = false;
};

Result<int> rm(const Session& session, const RmOptions& options) {
  Client client = session.connect();
  TRY(const Inventory inventory, list_inventory(client));
  for (const std::string& name : options.names) {
    TRY(const Target target, resolve(inventory, name));
    TRY_(remove_target(client, inventory, target, options.force));
    print(name + "\n");
  }
  return 0;
}

}  // namespace

void add_rm(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "rm", "Remove pods or containers");
  auto options = std::make_shared<RmOptions>();
  command->add_option("POD|CONTAINER", options->names, "ids or names")->required();
  command->add_flag("-f,--force", options->force, "stop what runs");
  command->footer("A container made by `berth run` takes its pod and its log with it.");
  on_run(command, session, [&session, options] { return rm(session, *options); });
}

}  // namespace berth::cli
