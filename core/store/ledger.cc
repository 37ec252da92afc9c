// SPDX-License-Identifier: Apache-2.0
// Key: owner, zero byte, kind (one byte), id; so that the rows of one owner stand together.
#include "core/store/ledger.h"

#include <utility>

#include "core/base/units.h"
#include "core/store/record.h"

namespace berth::store {
namespace {

std::string row_key(const LedgerRow& row) {
  std::string key = row.owner;
  key.push_back('\0');
  key.push_back(static_cast<char>(row.kind));
  key += row.id;
  return key;
}

bool parse_row(std::string_view key, std::string_view value, LedgerRow& row) {
  const std::size_t zero = key.find('\0');
  if (zero == std::string_view::npos || zero + 1 >= key.size()) return false;
  row.owner = key.substr(0, zero);
  row.kind = static_cast<LedgerKind>(key[zero + 1]);
  row.id = key.substr(zero + 2);
  row.created_at_ns = RecordReader(value).i64();
  return true;
}

Result<std::vector<LedgerRow>> collect(const ReadTxn& txn, std::string_view prefix) {
  std::vector<LedgerRow> rows;
  TRY_(txn.for_each(
      kLedgerTable,
      [&rows](std::string_view key, std::string_view value) {
        LedgerRow row;
        if (parse_row(key, value, row)) rows.push_back(std::move(row));
        return true;
      },
      prefix));
  return rows;
}

}  // namespace

const char* ledger_kind_name(LedgerKind kind) noexcept {
  switch (kind) {
    case LedgerKind::cgroup:
      return "cgroup";
    case LedgerKind::namespaces:
      return "namespaces";
    case LedgerKind::snapshot:
      return "snapshot";
    case LedgerKind::mount:
      return "mount";
    case LedgerKind::process:
      return "process";
    case LedgerKind::log:
      return "log";
    case LedgerKind::directory:
      return "directory";
  }
  return "unknown";
}

Status ledger_add(WriteTxn& txn, LedgerRow row) {
  if (row.owner.empty() || row.owner.find('\0') != std::string::npos || row.id.empty()) {
    return make_error(Errc::invalid_argument, "ledger row without owner or id");
  }
  if (row.created_at_ns == 0) row.created_at_ns = realtime_now_ns();
  auto added =
      txn.insert(kLedgerTable, row_key(row), RecordWriter().i64(row.created_at_ns).bytes());
  if (!added.ok() && !added.error().is(Errc::already_exists)) return added;
  return {};
}

Status ledger_clear(WriteTxn& txn, const LedgerRow& row) {
  TRY_(txn.erase(kLedgerTable, row_key(row)));
  return {};
}

Status ledger_clear_owner(WriteTxn& txn, std::string_view owner) {
  TRY(const std::vector<LedgerRow> rows, ledger_of_owner(txn, owner));
  for (const LedgerRow& row : rows) TRY_(ledger_clear(txn, row));
  return {};
}

Status ledger_add(State& state, LedgerRow row) {
  return state.write([&row](WriteTxn& txn) { return ledger_add(txn, std::move(row)); });
}

Status ledger_clear(State& state, const LedgerRow& row) {
  return state.write([&row](WriteTxn& txn) { return ledger_clear(txn, row); });
}

Result<std::vector<LedgerRow>> ledger_of_owner(const ReadTxn& txn, std::string_view owner) {
  std::string prefix(owner);
  prefix.push_back('\0');
  return collect(txn, prefix);
}

Result<std::vector<LedgerRow>> ledger_of_kind(const ReadTxn& txn, LedgerKind kind) {
  TRY(std::vector<LedgerRow> rows, collect(txn, {}));
  std::erase_if(rows, [kind](const LedgerRow& row) { return row.kind != kind; });
  return rows;
}

Result<std::vector<LedgerRow>> ledger_all(const ReadTxn& txn) {
  return collect(txn, {});
}

}  // namespace berth::store
