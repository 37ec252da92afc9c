// SPDX-License-Identifier: Apache-2.0
// The two sides of the comparison: the records, loaded into Node::pods, and the findings of the
// plugins.
#pragma once

#include <map>
#include <string>

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/reconcile/report.h"

namespace berth::cri {

struct RecoveredState {
  std::map<std::string, plugins::SandboxStatus> sandboxes{};  // by id
  std::map<std::string, plugins::Living> living{};            // by container id
  std::map<std::string, plugins::Exit> exited{};              // by container id
};

// Fills Node::pods. A container without a sandbox's record is erased.
Task<void> load_records(Node& node, ReconcileReport& report);

// Calls recover() of every runtime handler, of the resources plugin and of every network, each with
// the objects on record. A handler that cannot recover fails the start of the agent: without it no
// record can be believed.
Task<RecoveredState> recover_plugins(Node& node, ReconcileReport& report);

// Whether the handler of the sandbox's record is configured.
inline bool is_managed(const Node& node, const Sandbox& sandbox) {
  return node.handlers.runtime(sandbox.handler()).ok();
}

}  // namespace berth::cri
