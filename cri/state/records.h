// SPDX-License-Identifier: Apache-2.0
// Sandbox and container records in the runtime state store. Loop thread only for writing.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/store/state.h"
#include "cri/state/record.pb.h"

namespace berth::cri {

namespace records {

using berth::state::v1::ContainerRecord;
using berth::state::v1::SandboxRecord;

constexpr store::Table kSandboxes{"sandboxes", 1};
constexpr store::Table kContainers{"containers", 1};

Status save(store::State& state, const SandboxRecord& record);
Status save(store::State& state, const ContainerRecord& record);
Status save(store::WriteTxn& txn, const SandboxRecord& record);
Status save(store::WriteTxn& txn, const ContainerRecord& record);
// Absent: not_found that names the id.
Result<SandboxRecord> load_sandbox(const store::State& state, std::string_view id);
Result<ContainerRecord> load_container(const store::State& state, std::string_view id);
Status erase_sandbox(store::State& state, std::string_view id);
Status erase_container(store::State& state, std::string_view id);

// Every record, for start-up. One that cannot be parsed is quarantined and logged, never fatal.
Result<std::vector<SandboxRecord>> all_sandboxes(store::State& state, Log& log);
Result<std::vector<ContainerRecord>> all_containers(store::State& state, Log& log);

}  // namespace records

}  // namespace berth::cri
