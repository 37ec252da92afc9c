// SPDX-License-Identifier: Apache-2.0
// At start the agent compares what it wrote down with what there is, and mends both ways: the
// records (state store and ledger), the keeper's table, cgroups, snapshots, network, files.
// Afterwards the store agrees with the kernel, and doing it again changes nothing.
//
// Rules. What cannot be read is never taken for absent: an unreadable record is quarantined and
// what it stood for is left alone. A container whose end nobody saw ends as "exit code unknown".
// Half-made and half-removed things are removed to the end.
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

  std::string summary() const;
};

// Once, before the first call is served and before watch_exits.
Task<ReconcileReport> reconcile(Node& node);

}  // namespace berth::cri
