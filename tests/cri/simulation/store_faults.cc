// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/store_faults.h"

#include <errno.h>
#include <lmdb.h>

#include <utility>

namespace berth::simulation {

namespace {

std::function<bool()>& commit_fails() {
  static std::function<bool()> fails;
  return fails;
}

bool next_commit_fails() {
  return commit_fails() && commit_fails()();
}

}  // namespace

void set_store_fault(std::function<bool()> fails) {
  commit_fails() = std::move(fails);
}

}  // namespace berth::simulation

extern "C" int __real_mdb_txn_commit(MDB_txn* txn);
extern "C" int __wrap_mdb_txn_commit(MDB_txn* txn);
int __wrap_mdb_txn_commit(MDB_txn* txn) {
  if (!berth::simulation::next_commit_fails()) return __real_mdb_txn_commit(txn);
  ::mdb_txn_abort(txn);
  return ENOSPC;
}
