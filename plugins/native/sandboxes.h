// SPDX-License-Identifier: Apache-2.0
// Sandboxes: the namespaces, the init and the kept descriptors of every sandbox.
//
// Invariant: a sandbox that is here is held at the keeper with all its descriptors. Calls for one
// sandbox are serialised by the caller.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/ring/ring.h"
#include "core/task/with_undo.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/native/keeper_client.h"
#include "plugins/native/sandbox_descriptors.h"

namespace berth::native {

class Sandboxes {
 public:
  // All outlive the object.
  Sandboxes(Ring& ring, Log& log, KeeperClient& keeper) : ring_(ring), log_(log), keeper_(keeper) {}

  Task<plugins::SandboxStatus> start(plugins::SandboxRequest request);
  // Ends the init, and with it every process of the sandbox's PID namespace. Unknown: fine.
  Task<void> stop(std::string sandbox_id);
  // not_found.
  Result<plugins::SandboxStatus> status(const std::string& sandbox_id) const;
  Task<void> keep(std::string sandbox_id, std::vector<UniqueFd> kept);

  // failed_precondition: a container cannot be started in it.
  Status check_complete(const std::string& sandbox_id) const;
  // A duplicate. failed_precondition: it has none of that type.
  Result<UniqueFd> open_namespace(const std::string& sandbox_id, oci::NamespaceType type) const;

  // After a restart. What the keeper held is gone when keeper and agent both died, but a living
  // process of the sandbox is still in its namespaces.
  Task<plugins::SandboxStatus> find_again(plugins::KnownSandbox known);
  // Ends the inits and drops the descriptors of sandboxes that are not here; says which.
  Task<std::vector<std::string>> end_unknown();

 private:
  struct Sandbox {
    plugins::SandboxNamespaces shared;
    SandboxDescriptors descriptors;
  };

  Task<plugins::SandboxStatus> make(plugins::SandboxRequest& request, AsyncUndo& undo);
  Task<void> take_namespaces(plugins::SandboxRequest& request, Sandbox& sandbox);
  Task<void> make_missing(Sandbox& sandbox);
  Task<void> start_init(const plugins::SandboxRequest& request, Sandbox& sandbox);
  Task<void> end_init(std::string sandbox_id);
  Task<void> hold(std::string sandbox_id, const Sandbox& sandbox);
  Task<void> drop_held(std::string sandbox_id, std::string except_key);
  // "network namespace", "init"; empty: nothing.
  std::string lost_of(const std::string& sandbox_id, const Sandbox& sandbox) const;
  Result<plugins::SandboxStatus> status_of(const std::string& sandbox_id,
                                           const Sandbox& sandbox) const;
  std::vector<NamespaceSource> living_of(const plugins::KnownSandbox& known) const;

  Ring& ring_;
  Log& log_;
  KeeperClient& keeper_;
  std::map<std::string, Sandbox> sandboxes_;
};

// The name under which the keeper has the init of a sandbox, and the reverse: empty when it is no
// such name.
std::string init_name(const std::string& sandbox_id);
std::string sandbox_of_init(const std::string& name);

}  // namespace berth::native
