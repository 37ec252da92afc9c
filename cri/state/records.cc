// SPDX-License-Identifier: Apache-2.0
#include "cri/state/records.h"

#include <utility>

namespace berth::cri::records {

namespace {

template <typename Record>
Result<Record> load(const store::State& state, store::Table table, std::string_view what,
                    std::string_view id) {
  const std::string named = std::string(what) + " `" + std::string(id) + "`";
  if (id.empty() || id.size() > store::kKeySizeMax) {
    return make_error(Errc::not_found, named + " does not exist");
  }
  TRY(const std::optional<std::string> bytes, state.get(table, id));
  if (!bytes) return make_error(Errc::not_found, named + " does not exist");
  Record record;
  if (!record.ParseFromString(*bytes)) {
    return make_error(Errc::data_loss, "the record of " + named + " cannot be parsed");
  }
  return record;
}

template <typename Record>
Result<std::vector<Record>> all(store::State& state, store::Table table, Log& log) {
  std::vector<Record> found;
  std::vector<std::string> damaged;
  TRY_(state.for_each(table, [&](std::string_view key, std::string_view value) {
    Record record;
    if (record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      found.push_back(std::move(record));
    } else {
      damaged.emplace_back(key);
    }
    return true;
  }));
  for (const std::string& key : damaged) {
    log.error("state", "record `" + key + "` in table " + std::string(table.name) +
                           " cannot be parsed: quarantined");
    TRY_(state.quarantine(table, key, "cannot be parsed"));
  }
  return found;
}

}  // namespace

Status save(store::State& state, const SandboxRecord& record) {
  return state.put(kSandboxes, record.id(), record.SerializeAsString());
}
Status save(store::State& state, const ContainerRecord& record) {
  return state.put(kContainers, record.id(), record.SerializeAsString());
}
Status save(store::WriteTxn& txn, const SandboxRecord& record) {
  return txn.put(kSandboxes, record.id(), record.SerializeAsString());
}
Status save(store::WriteTxn& txn, const ContainerRecord& record) {
  return txn.put(kContainers, record.id(), record.SerializeAsString());
}

Result<SandboxRecord> load_sandbox(const store::State& state, std::string_view id) {
  return load<SandboxRecord>(state, kSandboxes, "sandbox", id);
}
Result<ContainerRecord> load_container(const store::State& state, std::string_view id) {
  return load<ContainerRecord>(state, kContainers, "container", id);
}

Status erase_sandbox(store::State& state, std::string_view id) {
  TRY([[maybe_unused]] const bool was_there, state.erase(kSandboxes, id));
  return {};
}
Status erase_container(store::State& state, std::string_view id) {
  TRY([[maybe_unused]] const bool was_there, state.erase(kContainers, id));
  return {};
}

Result<std::vector<SandboxRecord>> all_sandboxes(store::State& state, Log& log) {
  return all<SandboxRecord>(state, kSandboxes, log);
}
Result<std::vector<ContainerRecord>> all_containers(store::State& state, Log& log) {
  return all<ContainerRecord>(state, kContainers, log);
}

}  // namespace berth::cri::records
