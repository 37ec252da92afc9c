// SPDX-License-Identifier: Apache-2.0
// "Log files lose nothing": long lines, binary bytes, reopening.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

namespace fs = std::filesystem;

TEST_F(KeeperTest, LongLinesAndBinaryBytesArriveUnchanged) {
  std::mt19937 random(3);
  std::string data;
  for (const size_t length : {0u, 1u, 4095u, 4096u, 16383u, 16384u, 16385u, 70'000u, 300'000u}) {
    for (size_t i = 0; i < length; ++i) {
      char byte = static_cast<char>(random());
      data += byte == '\n' ? '.' : byte;
    }
    data += '\n';
  }
  std::ofstream(container::testing::place("lower/data"), std::ios::binary) << data;
  launch("c1", {.args = {"cat", "/data"}});
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  const std::string log = log_of("c1");
  EXPECT_EQ(joined_log(log) == data, true)
      << "sizes " << joined_log(log).size() << " " << data.size();
  // No record is longer than every reader must support.
  for (const std::string& line : lines_of(log)) EXPECT_LE(line.size(), 40 + 16384u);
}

TEST_F(KeeperTest, UnfinishedLastLineIsClosedByAnEmptyRecord) {
  launch("c1", {.args = {"sh", "-c", "printf 'no newline'"}});
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  const std::vector<std::string> lines = lines_of(log_of("c1"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].substr(31), "stdout P no newline");
  EXPECT_EQ(lines[1].substr(31), "stdout F ");
}

TEST_F(KeeperTest, ReopenedLogContinuesWhereTheOldOneEnds) {
  launch("c1",
         {.args = {"sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done"}});
  std::vector<std::string> paths = {log_path("c1")};
  for (int turn = 0; turn < 20; ++turn) {
    paths.push_back(log_path("c1") + "." + std::to_string(turn));
    Result<void> reopened = run(client_->reopen_log("c1", open_log(paths.back()), soon()));
    ASSERT_TRUE(reopened.ok()) << reopened.error().message();
    // After the answer the old file is complete and gets no further output.
    const std::string old = read_file(paths[paths.size() - 2]);
    EXPECT_TRUE(old.empty() || old.back() == '\n');
    ::usleep(3000);
    EXPECT_EQ(read_file(paths[paths.size() - 2]).size(), old.size());
  }
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  std::string all;
  for (const std::string& path : paths) all += read_file(path);
  std::string expected;
  for (int i = 0; i < 60000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(joined_log(all) == expected, true);
}

}  // namespace
}  // namespace berth::keeper::testing
