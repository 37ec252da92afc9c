// SPDX-License-Identifier: Apache-2.0
// At start the agent compares what it wrote down with what there is, and mends both ways: the
// records in the state store, the keeper's table, cgroups, snapshots, network, files.
// Afterwards the store agrees with the kernel, and doing it again changes nothing.
//
// Rules. An unreadable record is set aside for a person, and what it stood for ends: the kubelet no
// longer sees it and will start another, and two of a kind are worse than a restart. A container
// whose end nobody saw ends as "exit code unknown". Half-made and half-removed things are removed
// to the end. What cannot be mended is told and left; the next start tries again.
#pragma once

#include <string>
#include <vector>

#include "core/task/task.h"
#include "cri/node.h"

namespace berth::cri {

struct ReconcileReport {
  std::size_t pods = 0;
  std::size_t containers = 0;
  std::vector<std::string> mended;  // one sentence for each thing that was not as it should be
  std::vector<std::string> failed;  // what could not be mended, and why

  std::string summary() const;
};

// Once, before the first call is served. Spawns watch_exits in `watchers` as soon as records and
// keeper agree.
Task<ReconcileReport> reconcile(Node& node, Scope& watchers);

}  // namespace berth::cri
