// SPDX-License-Identifier: Apache-2.0
// An agent that finds a keeper of another build replaces the keeper's program. No process ends and
// no output is lost.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "core/keeper/build_id.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

constexpr int kContainers = 50;
constexpr int kLines = 8000;

std::string raw_bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// The same program with another build ID in its note.
std::string other_build(const std::string& binary, const std::string& path) {
  std::string program = read_file(binary);
  const std::string id = raw_bytes_of(build_of_file(binary).value());
  const std::size_t at = program.find(id);
  EXPECT_NE(at, std::string::npos);
  if (at == std::string::npos) return {};
  program[at] = static_cast<char>(program[at] ^ 0x55);
  std::ofstream(path, std::ios::binary) << program;
  EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
  return path;
}

class UpgradeTest : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    ours_ = options_.binary;
    other_ = other_build(ours_, dir_ + "/other-keeper");
    ASSERT_NE(build_of_file(ours_).value(), build_of_file(other_).value());
  }
  void next_agent_with(const std::string& binary) {
    drop_client();
    options_.binary = binary;
    connect();
  }
  static std::string id_of(int number) { return "flood" + std::to_string(number); }

  std::string ours_;
  std::string other_;
};

TEST_F(UpgradeTest, RunningKeeperReportsTheBuildOfItsProgram) {
  ASSERT_EQ(build_of_file(ours_).value().size(), 40U);
  EXPECT_EQ(client_->build(), build_of_file(ours_).value());
}

TEST_F(UpgradeTest, KeeperOfTheSameBuildIsNotReplaced) {
  const std::string before = read_file("/proc/" + std::to_string(client_->pid()) + "/cmdline");
  next_agent_with(ours_);
  EXPECT_EQ(read_file("/proc/" + std::to_string(client_->pid()) + "/cmdline"), before);
}

TEST_F(UpgradeTest, FiftyContainersWritingAtFullSpeedLoseNoLineAndNoExitCode) {
  const std::string script = "i=0; while [ $i -lt " + std::to_string(kLines) +
                             " ]; do echo line $i; i=$((i+1)); done; exit ";
  for (int i = 0; i < kContainers; ++i) shell(id_of(i), script + std::to_string(i + 1));
  const pid_t keeper = client_->pid();
  for (const std::string& binary : {other_, ours_, other_}) {
    next_agent_with(binary);
    EXPECT_EQ(client_->build(), build_of_file(binary).value());
    EXPECT_EQ(client_->pid(), keeper) << "the program is replaced in place";
    EXPECT_EQ(client_->starts(), 0U);
    const std::vector<KnownProcess> known = client_->list();
    EXPECT_EQ(known.size(), static_cast<std::size_t>(kContainers));
    EXPECT_TRUE(std::any_of(known.begin(), known.end(), [](const KnownProcess& process) {
      return !process.exit;
    })) << "no container was running during the upgrade";
  }
  std::string expected;
  for (int i = 0; i < kLines; ++i) expected += "line " + std::to_string(i) + "\n";
  for (int i = 0; i < kContainers; ++i) {
    EXPECT_EQ(wait_exit(id_of(i)).exit_code, i + 1);
    EXPECT_TRUE(joined_log(log_of(id_of(i))) == expected) << id_of(i);
  }
}

}  // namespace
}  // namespace berth::keeper::testing
