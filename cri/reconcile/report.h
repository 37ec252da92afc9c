// SPDX-License-Identifier: Apache-2.0
// The findings of a reconciliation.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/task/task.h"

namespace berth::cri {

struct ReconcileReport {
  std::size_t pods = 0;
  std::size_t containers = 0;
  std::vector<std::string> mended{};  // a sentence for each difference that was removed
  std::vector<std::string> failed{};  // a sentence for each one that could not be, with its reason

  std::string summary() const;
};

// Runs one step. Its failure goes into the report under `subject`, so that one broken object does
// not keep the agent from managing all others; cancelled passes through.
Task<void> try_step(ReconcileReport& report, std::string subject, Task<void> step);

}  // namespace berth::cri
