// SPDX-License-Identifier: Apache-2.0
// The ledger names at least everything that exists, and finds it by owner and by kind.
#include "core/store/ledger.h"

#include <gtest/gtest.h>

#include "core/store/layout.h"
#include "core/store/record.h"
#include "tests/support/temporary_dir.h"

namespace berth::store {
namespace {

TEST(Ledger, RowsComeBackByOwnerAndByKind) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(ledger_add(state, {.owner = "p1", .kind = LedgerKind::cgroup, .id = "c1"}).ok());
  ASSERT_TRUE(ledger_add(state, {.owner = "p1", .kind = LedgerKind::snapshot, .id = "c1"}).ok());
  ASSERT_TRUE(ledger_add(state, {.owner = "p10", .kind = LedgerKind::cgroup, .id = "c2"}).ok());
  const ReadTxn txn = MUST(state.begin_read());
  const auto of_p1 = MUST(ledger_of_owner(txn, "p1"));
  ASSERT_EQ(of_p1.size(), 2u) << "p10 is not p1";
  EXPECT_EQ(of_p1[0].kind, LedgerKind::cgroup);
  EXPECT_EQ(of_p1[0].id, "c1");
  EXPECT_GT(of_p1[0].created_at_ns, 0);
  const auto cgroups = MUST(ledger_of_kind(txn, LedgerKind::cgroup));
  ASSERT_EQ(cgroups.size(), 2u);
  EXPECT_EQ(cgroups[1].owner, "p10");
  EXPECT_EQ(MUST(ledger_all(txn)).size(), 3u);
}

TEST(Ledger, AddingTwiceKeepsTheFirstTimeAndClearingTwiceIsFine) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  const LedgerRow row{.owner = "p", .kind = LedgerKind::mount, .id = "/a", .created_at_ns = 5};
  ASSERT_TRUE(ledger_add(state, row).ok());
  LedgerRow later = row;
  later.created_at_ns = 9;
  ASSERT_TRUE(ledger_add(state, later).ok());
  EXPECT_EQ(MUST(ledger_all(MUST(state.begin_read())))[0].created_at_ns, 5);
  ASSERT_TRUE(ledger_clear(state, row).ok());
  ASSERT_TRUE(ledger_clear(state, row).ok());
  EXPECT_TRUE(MUST(ledger_all(MUST(state.begin_read()))).empty());
}

TEST(Ledger, ARowAndItsStateAppearTogetherOrNotAtAll) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  constexpr Table kPods{"pods", 1};
  ASSERT_FALSE(state
                   .write([&](WriteTxn& txn) -> Status {
                     TRY_(ledger_add(txn, {.owner = "p", .kind = LedgerKind::process, .id = "c"}));
                     TRY_(txn.put(kPods, "p", "record"));
                     return make_error(Errc::aborted, "the step after failed");
                   })
                   .ok());
  EXPECT_TRUE(MUST(ledger_all(MUST(state.begin_read()))).empty());
}

TEST(Ledger, ClearingAnOwnerLeavesTheOthers) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  for (const char* owner : {"a", "ab", "b"}) {
    for (const char* id : {"1", "2"}) {
      ASSERT_TRUE(ledger_add(state, {.owner = owner, .kind = LedgerKind::log, .id = id}).ok());
    }
  }
  ASSERT_TRUE(state.write([](WriteTxn& txn) { return ledger_clear_owner(txn, "a"); }).ok());
  const auto left = MUST(ledger_all(MUST(state.begin_read())));
  ASSERT_EQ(left.size(), 4u);
  EXPECT_EQ(left[0].owner, "ab") << "its name only begins like the cleared one's";
  EXPECT_EQ(left[2].owner, "b");
}

TEST(Ledger, RowsWithoutOwnerOrIdAreRefused) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  EXPECT_TRUE(ledger_add(state, {.owner = "", .id = "x"}).error().is(Errc::invalid_argument));
  EXPECT_TRUE(ledger_add(state, {.owner = "p", .id = ""}).error().is(Errc::invalid_argument));
}

TEST(Record, FieldsComeBackInOrderAndAShortRecordIsNoticed) {
  const std::string bytes =
      RecordWriter().u8(7).string("name").i64(-3).u32(0xfffffffe).u64(1ull << 63).bytes();
  RecordReader reader(bytes);
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.string(), "name");
  EXPECT_EQ(reader.i64(), -3);
  EXPECT_EQ(reader.u32(), 0xfffffffe);
  EXPECT_EQ(reader.u64(), 1ull << 63);
  EXPECT_TRUE(reader.at_end());
  EXPECT_FALSE(reader.truncated());
  RecordReader cut(std::string_view(bytes).substr(0, 3));
  cut.u8();
  EXPECT_EQ(cut.string(), "");
  EXPECT_TRUE(cut.truncated());
}

TEST(Layout, PathsArePureFunctionsOfTwoDirectories) {
  const Layout layout("/r", "/s");
  EXPECT_EQ(layout.cri_socket(), "/s/berth.sock");
  EXPECT_EQ(layout.state_store(), "/s/state");
  EXPECT_EQ(layout.images_store(), "/r/images");
  EXPECT_EQ(layout.overlay_snapshots(), "/r/snapshots/overlay");
}

}  // namespace
}  // namespace berth::store
