// SPDX-License-Identifier: Apache-2.0
// The promises of core/store/state.h about whole transactions and exclusive opening.
#include "core/store/state.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "core/store/checksum.h"
#include "tests/support/temporary_dir.h"

namespace berth::store {
namespace {

constexpr Table kPods{"pods", 1};
constexpr Table kPods2{"pods2", 1};

std::vector<std::string> keys_of(const State& state, Table table, std::string_view prefix = {}) {
  std::vector<std::string> keys;
  auto walked = state.for_each(
      table,
      [&keys](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      },
      prefix);
  EXPECT_TRUE(walked.ok());
  return keys;
}

TEST(Checksum, IsCrc32cOfTheRfc) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), crc32c("123456789"));
}

TEST(State, ReadsCommittedRecordsAfterReopen) {
  TemporaryDir dir;
  const std::string binary("a\0b\xff", 4);
  {
    State state = MUST(State::open(dir / "s", {}));
    ASSERT_TRUE(state.put(kPods, "one", binary).ok());
    ASSERT_TRUE(state.put(kPods, "empty", "").ok());
  }
  const State state = MUST(State::open(dir / "s", {.durable = true}));
  EXPECT_EQ(MUST(state.get(kPods, "one")), binary);
  EXPECT_EQ(MUST(state.get(kPods, "empty")), "");
  EXPECT_EQ(MUST(state.get(kPods, "absent")), std::nullopt);
}

TEST(State, TablesDoNotSeeEachOther) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put(kPods, "x", "1").ok());
  ASSERT_TRUE(state.put(kPods2, "x", "2").ok());
  EXPECT_EQ(MUST(state.get(kPods, "x")), "1");
  EXPECT_EQ(keys_of(state, kPods), std::vector<std::string>{"x"});
  EXPECT_TRUE(MUST(state.erase(kPods2, "x")));
  EXPECT_FALSE(MUST(state.erase(kPods2, "x")));
  EXPECT_EQ(MUST(state.get(kPods, "x")), "1");
}

TEST(State, PrefixWalkIsOrderedAndStopsOnRequest) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  for (const char* key : {"b/2", "a/1", "b/1", "c/1", "b"}) {
    ASSERT_TRUE(state.put(kPods, key, key).ok());
  }
  EXPECT_EQ(keys_of(state, kPods, "b/"), (std::vector<std::string>{"b/1", "b/2"}));
  EXPECT_EQ(keys_of(state, kPods), (std::vector<std::string>{"a/1", "b", "b/1", "b/2", "c/1"}));
  int visits = 0;
  ASSERT_TRUE(state.for_each(kPods, [&visits](auto, auto) { return ++visits < 2; }).ok());
  EXPECT_EQ(visits, 2);
}

TEST(State, FailedBodyLeavesNothingOfItsTransaction) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put(kPods, "kept", "old").ok());
  const Status failed = state.write([](WriteTxn& txn) -> Status {
    TRY_(txn.put(kPods, "kept", "new"));
    TRY_(txn.put(kPods, "added", "x"));
    TRY(const auto seen, txn.get(kPods, "added"));
    EXPECT_EQ(seen, "x") << "a transaction reads its own writes";
    return make_error(Errc::aborted, "changed my mind");
  });
  EXPECT_TRUE(failed.error().is(Errc::aborted));
  EXPECT_EQ(MUST(state.get(kPods, "kept")), "old");
  EXPECT_EQ(MUST(state.get(kPods, "added")), std::nullopt);
}

TEST(State, InsertRefusesAnExistingKey) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  const auto insert = [](WriteTxn& txn) { return txn.insert(kPods, "x", "1"); };
  ASSERT_TRUE(state.write(insert).ok());
  EXPECT_TRUE(state.write(insert).error().is(Errc::already_exists));
}

TEST(State, KeysBeyondTheLimitAreRefusedNotCut) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  EXPECT_TRUE(state.put(kPods, std::string(kKeySizeMax, 'k'), "v").ok());
  const Status longer = state.put(kPods, std::string(kKeySizeMax + 1, 'k'), "v");
  EXPECT_TRUE(longer.error().is(Errc::invalid_argument));
  EXPECT_TRUE(state.put(kPods, "", "v").error().is(Errc::invalid_argument));
}

TEST(State, ReaderKeepsItsViewWhileAWriterCommits) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put(kPods, "x", "old").ok());
  const ReadTxn before = MUST(state.begin_read());
  std::thread writer([&state] { EXPECT_TRUE(state.put(kPods, "x", "new").ok()); });
  writer.join();
  EXPECT_EQ(MUST(before.get(kPods, "x")), "old");
  EXPECT_EQ(MUST(state.get(kPods, "x")), "new");
}

TEST(State, SecondOpenOfADirectoryIsRefusedByName) {
  TemporaryDir dir;
  const State first = MUST(State::open(dir / "s", {}));
  const auto second = State::open(dir / "s", {});
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().is(Errc::failed_precondition));
  EXPECT_NE(second.error().message().find(dir / "s"), std::string::npos);
}

TEST(State, MapFullIsResourceExhaustedAndOldRecordsStay) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {.map_size = 64_KiB}));
  ASSERT_TRUE(state.put(kPods, "kept", "v").ok());
  Status filled;
  for (int i = 0; i < 100 && filled.ok(); ++i) {
    filled = state.put(kPods, "k" + std::to_string(i), std::string(4096, 'x'));
  }
  ASSERT_FALSE(filled.ok());
  EXPECT_TRUE(filled.error().is(Errc::resource_exhausted));
  EXPECT_NE(filled.error().message().find(dir / "s"), std::string::npos);
  EXPECT_EQ(MUST(state.get(kPods, "kept")), "v");
}

// Many readers on short-lived threads: with thread-bound slots (126 of them) this would end in
// MDB_READERS_FULL.
TEST(State, ThreadsThatReadAndEndLeaveNoSlotBehind) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put(kPods, "x", "v").ok());
  for (int i = 0; i < 300; ++i) {
    std::thread([&state] { EXPECT_EQ(MUST(state.get(kPods, "x")), "v"); }).join();
  }
}

TEST(State, CommittedRecordsSurviveKillInTheMiddleOfATransaction) {
  TemporaryDir dir;
  const std::string path = dir / "s";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    State state = MUST(State::open(path, {}));
    if (!state.put(kPods, "committed", "yes").ok()) ::_exit(1);
    WriteTxn txn = MUST(state.begin_write());
    if (!txn.put(kPods, "uncommitted", "no").ok()) ::_exit(1);
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(ready[0]);
  ::close(ready[1]);

  State state = MUST(State::open(path, {}));
  EXPECT_EQ(MUST(state.get(kPods, "committed")), "yes");
  EXPECT_EQ(MUST(state.get(kPods, "uncommitted")), std::nullopt);
  EXPECT_TRUE(state.put(kPods, "next", "v").ok()) << "the dead writer's lock is free";
}

}  // namespace
}  // namespace berth::store
