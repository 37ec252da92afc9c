// SPDX-License-Identifier: Apache-2.0
// An agent that finds a keeper of another build replaces the keeper's program. No process ends and
// no output is lost.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "core/keeper/build_id.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

constexpr int kContainers = 50;

// "line 0" to the last one that "end N" counts, each once.
bool is_whole(const std::string& log) {
  std::istringstream lines(log);
  std::string line;
  for (long count = 0; std::getline(lines, line); ++count) {
    if (line == "line " + std::to_string(count)) continue;
    return line == "end " + std::to_string(count) && lines.peek() == EOF;
  }
  return false;
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
  // Until it is told to stop, so that it runs during each upgrade however fast or slow it is.
  const std::string script =
      "trap 'stop=1' TERM; i=0; while [ -z \"$stop\" ]; do echo line $i; i=$((i+1)); done; "
      "echo end $i; exit ";
  for (int i = 0; i < kContainers; ++i) shell(id_of(i), script + std::to_string(i + 1));
  const pid_t keeper = client_->pid();
  for (const std::string& binary : {other_, ours_, other_}) {
    next_agent_with(binary);
    EXPECT_EQ(client_->build(), build_of_file(binary).value());
    EXPECT_EQ(client_->pid(), keeper) << "the program is replaced in place";
    EXPECT_EQ(client_->starts(), 0U);
    const std::vector<KnownProcess> known = client_->list();
    EXPECT_EQ(known.size(), static_cast<std::size_t>(kContainers));
    EXPECT_TRUE(std::none_of(known.begin(), known.end(), [](const KnownProcess& process) {
      return process.exit.has_value();
    })) << "a container ended with the upgrade";
  }
  for (const KnownProcess& process : client_->list()) {
    EXPECT_EQ(::kill(process.pid, SIGTERM), 0) << process.id;
  }
  for (int i = 0; i < kContainers; ++i) {
    EXPECT_EQ(wait_exit(id_of(i)).exit_code, i + 1);
    EXPECT_TRUE(is_whole(joined_log(log_of(id_of(i))))) << id_of(i);
  }
}

}  // namespace
}  // namespace berth::keeper::testing
