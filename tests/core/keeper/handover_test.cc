// SPDX-License-Identifier: Apache-2.0
// berth-keeper replaces its own program while containers run.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

class HandoverTest : public KeeperTest {
 protected:
  Result<void> reexec(const std::string& binary) { return run(client_->reexec(binary, soon())); }
};

TEST_F(HandoverTest, ReexecutionKeepsContainersLogsAndExitCodes) {
  launch("flood",
         {.args = {"sh", "-c",
                   "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; exit 6"}});
  shell("ended", "exit 3");
  EXPECT_EQ(wait_exit("ended").exit_code, 3);
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(run(client_->hold("pod", std::move(fds), soon())).ok());
  const pid_t keeper = client_->pid();
  for (int i = 0; i < 5; ++i) {
    Result<void> done = reexec(options_.binary);
    ASSERT_TRUE(done.ok()) << done.error().message();
  }
  EXPECT_EQ(client_->pid(), keeper);
  EXPECT_EQ(client_->starts(), 1u);
  // The keeper is still the parent, so it knows the exit code without the agent.
  EXPECT_EQ(wait_exit("flood").exit_code, 6);
  std::string expected;
  for (int i = 0; i < 60000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(joined_log(log_of("flood")) == expected, true);
  drop_client();
  connect();
  EXPECT_EQ(client_->held("pod").value().size(), 1u);
  EXPECT_TRUE(client_->find("ended").has_value());
}

TEST_F(HandoverTest, ProgramThatCannotBeExecutedIsRefusedAndTheOldOneContinues) {
  shell("c1", "sleep 0.2; echo fine; exit 2");
  const std::string path = dir_ + "/not-a-program";
  std::ofstream(path) << "text";
  Result<void> done = reexec(path);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(wait_exit("c1").exit_code, 2);
  EXPECT_EQ(joined_log(log_of("c1")), "fine\n");
}

TEST_F(HandoverTest, ProgramThatEndsAtOnceIsReplacedByTheAgent) {
  shell("c1", "sleep 0.5; echo fine; exit 2");
  // busybox is statically linked and has no applet of that name, so it ends at once.
  Result<void> done = reexec("/bin/busybox");
  ASSERT_FALSE(done.ok());
  EXPECT_TRUE(done.error().is(Errc::unavailable)) << done.error().message();
  EXPECT_EQ(wait_exit("c1").exit_code, 2);
  EXPECT_EQ(joined_log(log_of("c1")), "fine\n");
  EXPECT_EQ(client_->starts(), 2u);
}

}  // namespace
}  // namespace berth::keeper::testing
