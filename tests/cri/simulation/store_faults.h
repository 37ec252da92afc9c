// SPDX-License-Identifier: Apache-2.0
// Commits of the state store that fail, as on a full filesystem: the test program is linked with a
// wrapper of mdb_txn_commit.
#pragma once

#include <functional>

namespace berth::simulation {

// Asked before each commit; true: it fails with ENOSPC and changes nothing. Null: none fails.
void set_store_fault(std::function<bool()> fails);

}  // namespace berth::simulation
