// SPDX-License-Identifier: Apache-2.0
// "A failed read never deletes; a corrupt record is quarantined, never fatal."
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/store/state.h"
#include "tests/support/temporary_dir.h"

namespace berth::store {
namespace {

constexpr Table kPods{"pods", 1};

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Flips the first byte of every copy of `marker` in the data file: LMDB keeps old pages.
void damage(const std::string& store_dir, const std::string& marker) {
  std::string bytes = read_all(store_dir + "/data.mdb");
  int hits = 0;
  for (std::size_t at = bytes.find(marker); at != std::string::npos; at = bytes.find(marker, at)) {
    bytes[at] = '!';
    ++hits;
  }
  ASSERT_GT(hits, 0);
  write_all(store_dir + "/data.mdb", bytes);
}

TEST(Damage, OneFlippedByteCostsOneRecordAndIsReported) {
  TemporaryDir dir;
  {
    State state = MUST(State::open(dir / "s", {}));
    ASSERT_TRUE(state.put(kPods, "good", "intact").ok());
    ASSERT_TRUE(state.put(kPods, "hit", "MARKER-of-the-test").ok());
  }
  damage(dir / "s", "MARKER");

  State state = MUST(State::open(dir / "s", {}));
  EXPECT_TRUE(state.get(kPods, "hit").error().is(Errc::data_loss));
  EXPECT_TRUE(state.get(kPods, "hit").error().is(Errc::data_loss)) << "reading does not delete";
  const auto moved = MUST(state.quarantine_damaged({kPods}));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].table, "pods");
  EXPECT_EQ(moved[0].key, "hit");
  EXPECT_EQ(MUST(state.get(kPods, "hit")), std::nullopt);
  EXPECT_EQ(MUST(state.get(kPods, "good")), "intact");
  ASSERT_EQ(MUST(state.quarantined()).size(), 1u);
  EXPECT_EQ(MUST(state.quarantined())[0].reason, moved[0].reason);
  EXPECT_TRUE(MUST(state.quarantine_damaged({kPods})).empty()) << "a second run changes nothing";
}

TEST(Damage, RecordOfAnotherVersionIsSetAside) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put({"pods", 7}, "future", "v").ok());
  EXPECT_TRUE(state.get(kPods, "future").error().is(Errc::data_loss));
  ASSERT_EQ(MUST(state.quarantine_damaged({kPods})).size(), 1u);
}

TEST(Damage, WalkPassesOverDamagedRecords) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put({"pods", 7}, "a", "v").ok());
  ASSERT_TRUE(state.put(kPods, "b", "v").ok());
  std::vector<std::string> keys;
  ASSERT_TRUE(state
                  .for_each(kPods,
                            [&keys](std::string_view key, std::string_view) {
                              keys.emplace_back(key);
                              return true;
                            })
                  .ok());
  EXPECT_EQ(keys, std::vector<std::string>{"b"});
}

TEST(Damage, CallerMayQuarantineARecordThatItCannotParse) {
  TemporaryDir dir;
  State state = MUST(State::open(dir / "s", {}));
  ASSERT_TRUE(state.put(kPods, "odd", "not what I expected").ok());
  ASSERT_TRUE(state.quarantine(kPods, "odd", "no pod id").ok());
  EXPECT_EQ(MUST(state.get(kPods, "odd")), std::nullopt);
  ASSERT_EQ(MUST(state.quarantined()).size(), 1u);
  EXPECT_EQ(MUST(state.quarantined())[0].reason, "no pod id");
  EXPECT_TRUE(state.quarantine(kPods, "odd", "again").ok());
}

TEST(Damage, AFileThatIsNoStoreIsOneClearError) {
  TemporaryDir dir;
  ASSERT_EQ(::mkdir((dir / "s").c_str(), 0700), 0);
  write_all(dir / "s/data.mdb", std::string(8192, 'z'));
  const auto opened = State::open(dir / "s", {});
  ASSERT_FALSE(opened.ok());
  EXPECT_TRUE(opened.error().is(Errc::data_loss)) << opened.error().message();
  EXPECT_NE(opened.error().message().find(dir / "s"), std::string::npos);
  EXPECT_EQ(read_all(dir / "s/data.mdb"), std::string(8192, 'z')) << "nothing was overwritten";
}

TEST(Damage, AStoreOfAnotherFormatIsRefusedByName) {
  TemporaryDir dir;
  {
    State state = MUST(State::open(dir / "s", {}));
    ASSERT_TRUE(state.put({"format", 1}, "store", "berth-store-99").ok());
  }
  const auto opened = State::open(dir / "s", {});
  ASSERT_FALSE(opened.ok());
  EXPECT_TRUE(opened.error().is(Errc::failed_precondition));
  EXPECT_NE(opened.error().message().find("berth-store-99"), std::string::npos);
}

// Without the padding at open a read beyond the end of the file is SIGBUS.
TEST(Damage, ATruncatedFileIsAnErrorAtTheLatestWhenRead) {
  TemporaryDir dir;
  {
    State state = MUST(State::open(dir / "s", {}));
    for (int i = 0; i < 400; ++i) {
      ASSERT_TRUE(state.put(kPods, "k" + std::to_string(i), std::string(300, 'x')).ok());
    }
  }
  ASSERT_EQ(::truncate((dir / "s/data.mdb").c_str(), 3 * 4096), 0);
  auto opened = State::open(dir / "s", {});
  if (!opened.ok()) {
    EXPECT_TRUE(opened.error().is(Errc::data_loss)) << opened.error().message();
    return;
  }
  const Status walked = opened->for_each(kPods, [](auto, auto) { return true; });
  EXPECT_TRUE(!walked.ok() && walked.error().is(Errc::data_loss));
}

TEST(Damage, AnUnwritableParentNamesTheDirectory) {
  const auto opened = State::open("/proc/nowhere/s", {});
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message().find("/proc/nowhere/s"), std::string::npos);
}

}  // namespace
}  // namespace berth::store
