// SPDX-License-Identifier: Apache-2.0
// The ledger lists the kernel objects and directories we own. A row is written *before* its object
// is made and cleared after the object is gone, so whatever moment the agent dies at, the ledger
// names at least everything that exists: a reconciler compares both and mends either way.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/store/state.h"

namespace berth::store {

constexpr Table kLedgerTable{"ledger", 1};

enum class LedgerKind : std::uint8_t {
  cgroup = 1,      // id: container id, or pod id
  namespaces = 2,  // id: pod id
  snapshot = 3,    // id: snapshot key
  mount = 4,       // id: path
  process = 5,     // id: container id, exec id or pod id
  log = 6,         // id: path
  directory = 7,   // id: path
};

const char* ledger_kind_name(LedgerKind kind) noexcept;

struct LedgerRow {
  std::string owner;  // pod id, without '\0'
  LedgerKind kind = LedgerKind::cgroup;
  std::string id;                  // owner and id together at most 470 bytes
  std::int64_t created_at_ns = 0;  // Unix time; 0 when adding: now
};

// Inside a transaction of the caller's, together with the state it belongs to. Adding a row that is
// there keeps the older created_at; clearing one that is not there is fine.
Status ledger_add(WriteTxn& txn, LedgerRow row);
Status ledger_clear(WriteTxn& txn, const LedgerRow& row);
Status ledger_clear_owner(WriteTxn& txn, std::string_view owner);

// The same as a transaction of their own.
Status ledger_add(State& state, LedgerRow row);
Status ledger_clear(State& state, const LedgerRow& row);

// Rows of one owner cost their own number; all rows of a kind cost the size of the ledger.
Result<std::vector<LedgerRow>> ledger_of_owner(const ReadTxn& txn, std::string_view owner);
Result<std::vector<LedgerRow>> ledger_of_kind(const ReadTxn& txn, LedgerKind kind);
Result<std::vector<LedgerRow>> ledger_all(const ReadTxn& txn);

}  // namespace berth::store
