// SPDX-License-Identifier: Apache-2.0
// A snapshotter whose snapshots are entries of a table: names, parents and kinds, no trees.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plugins/api/snapshotter.h"
#include "tests/support/fakes/faults.h"

namespace berth::fakes {

// Outlives the agent.
using Snapshots = std::map<std::string, plugins::SnapshotInfo>;

class FakeSnapshotter final : public plugins::Snapshotter {
 public:
  using Mounts = std::vector<plugins::SnapshotMount>;

  FakeSnapshotter(Snapshots& snapshots, Faults& faults) : snapshots_(snapshots), faults_(faults) {}

  std::string_view name() const override { return "fake"; }
  Task<void> recover() override { co_return; }
  Task<Mounts> prepare(std::string key, std::string parent) override;
  Task<Mounts> view(std::string key, std::string parent) override;
  Task<Mounts> mounts(std::string key) override;
  Task<void> rebase(std::string key, std::string parent) override;
  Task<void> commit(std::string name, std::string key) override;
  Task<void> remove(std::string key) override;
  Task<plugins::SnapshotInfo> stat(std::string key) override;
  Task<plugins::SnapshotUsage> usage(std::string key) override;
  Task<std::vector<plugins::SnapshotInfo>> walk() override;

 private:
  Result<Mounts> make(const std::string& key, const std::string& parent,
                      plugins::SnapshotKind kind);
  Result<plugins::SnapshotInfo*> need(const std::string& key);

  Snapshots& snapshots_;
  Faults& faults_;
};

}  // namespace berth::fakes
