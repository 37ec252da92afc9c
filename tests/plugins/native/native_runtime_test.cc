// SPDX-License-Identifier: Apache-2.0
// The runtime handler contract (plugins/api/runtime_handler.h) kept by the built-in one.
#include "plugins/native/native.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <optional>

#include "core/ring/with_deadline.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::plugins {
namespace {

using keeper::testing::joined_log;

class NativeRuntimeTest : public keeper::testing::KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    runtime_.emplace(*client_);
  }
  LaunchRequest request(const std::string& id, std::vector<std::string> args) {
    LaunchRequest result;
    result.container_id = id;
    result.spec = container::testing::base_spec(std::move(args));
    result.spec.namespaces.network.mode = oci::Namespace::Mode::host;
    result.rootfs = container::testing::make_rootfs().release();
    result.stdio.log_file = open_log(log_path(id));
    return result;
  }
  ExecRequest exec_request(std::vector<std::string> args) {
    ExecRequest result;
    result.container_id = "c1";
    result.exec_id = "e1";
    result.process = container::testing::base_spec(std::move(args)).process;
    return result;
  }
  Exit next_exit() {
    Result<Exit> exit = run(with_deadline(*ring_, soon(), runtime_->next_exit()));
    EXPECT_TRUE(exit.ok()) << exit.error().message();
    return exit.ok() ? *exit : Exit{};
  }
  std::optional<NativeRuntime> runtime_;
};

TEST_F(NativeRuntimeTest, LaunchedContainerIsReportedAndRemoved) {
  Result<Launched> launched =
      run(runtime_->launch(request("c1", {"sh", "-c", "echo hello; ulimit -n; exit 4"})));
  ASSERT_TRUE(launched.ok()) << launched.error().message();
  const Exit exit = next_exit();
  EXPECT_EQ(exit.id, "c1");
  EXPECT_EQ(exit.exit_code, 4);
  EXPECT_EQ(joined_log(log_of("c1")), "hello\n1024\n") << "the keeper's own limit is not inherited";
  Result<Recovered> recovered = run(runtime_->recover());
  ASSERT_TRUE(recovered.ok());
  ASSERT_EQ(recovered->exited.size(), 1u);
  EXPECT_EQ(recovered->exited[0].exit_code, 4);
  ASSERT_TRUE(run(runtime_->remove("c1")).ok());
  EXPECT_TRUE(run(runtime_->remove("c1")).ok()) << "unknown is fine";
}

TEST_F(NativeRuntimeTest, LivingContainerIsFoundByTheNextAgent) {
  Result<Launched> launched = run(runtime_->launch(request("c1", {"sleep", "100"})));
  ASSERT_TRUE(launched.ok());
  runtime_.reset();
  drop_client();
  connect();
  runtime_.emplace(*client_);
  Result<Recovered> recovered = run(runtime_->recover());
  ASSERT_TRUE(recovered.ok());
  ASSERT_EQ(recovered->living.size(), 1u);
  EXPECT_EQ(recovered->living[0].pid, launched->pid);
  EXPECT_EQ(recovered->living[0].started_at_ns, launched->started_at_ns);
  ASSERT_TRUE(run(runtime_->signal("c1", SIGKILL)).ok());
  EXPECT_EQ(next_exit().exit_code, 128 + SIGKILL);
  EXPECT_TRUE(run(runtime_->signal("c1", SIGKILL)).ok()) << "gone already is no error";
}

TEST_F(NativeRuntimeTest, ExecRunsInsideTheContainerWithItsOwnStreams) {
  ASSERT_TRUE(
      run(runtime_->launch(request("c1", {"sh", "-c", "echo x >/tmp/mark; sleep 100"}))).ok());
  ASSERT_TRUE(keeper::testing::eventually([&] { return client_->find("c1").has_value(); }));
  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  ExecRequest exec = exec_request({"sh", "-c", "until cat /tmp/mark; do :; done; exit 6"});
  exec.stdio.in.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  exec.stdio.out.reset(out[1]);
  exec.stdio.err.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  UniqueFd reader(out[0]);
  Result<Launched> launched = run(runtime_->exec(std::move(exec)));
  ASSERT_TRUE(launched.ok()) << launched.error().message();
  const Exit exit = next_exit();
  EXPECT_EQ(exit.id, "e1");
  EXPECT_EQ(exit.exit_code, 6);
  char text[16] = {};
  EXPECT_EQ(::read(reader.get(), text, sizeof text), 2);
  EXPECT_EQ(::read(reader.get(), text, sizeof text), 0) << "nobody else holds the stream";
  EXPECT_FALSE(client_->find("e1").has_value()) << "nothing to remove";
}

TEST_F(NativeRuntimeTest, ExecNeedsALivingContainer) {
  Result<Launched> missing = run(runtime_->exec(exec_request({"true"})));
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is(Errc::not_found));
  ASSERT_TRUE(run(runtime_->launch(request("c1", {"true"}))).ok());
  next_exit();
  Result<Launched> ended = run(runtime_->exec(exec_request({"true"})));
  ASSERT_FALSE(ended.ok());
  EXPECT_TRUE(ended.error().is(Errc::failed_precondition));
}

TEST_F(NativeRuntimeTest, CommandThatIsMissingIsNotFoundAndOneThatIsNoProgramIsDenied) {
  Result<Launched> missing = run(runtime_->launch(request("c1", {"/no/such"})));
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is(Errc::not_found)) << missing.error().message();
  EXPECT_EQ(missing.error().op, "exec");
  Result<Launched> denied = run(runtime_->launch(request("c1", {"/etc"})));
  ASSERT_FALSE(denied.ok());
  EXPECT_TRUE(denied.error().is(Errc::permission_denied)) << denied.error().message();
}

TEST_F(NativeRuntimeTest, PodInitLivesUntilSigterm) {
  NativeRuntime::PodInitRequest wish;
  wish.pod_id = "p1";
  Result<Launched> init = run(runtime_->launch_pod_init(std::move(wish)));
  ASSERT_TRUE(init.ok()) << init.error().message();
  ASSERT_EQ(runtime_->pod_inits().size(), 1u);
  EXPECT_EQ(runtime_->pod_inits()[0].pid, init->pid);
  // A container joins its PID namespace by the init's pidfd.
  LaunchRequest joined = request("c1", {"sh", "-c", "cat /proc/1/comm; exit 0"});
  joined.spec.namespaces.pid = {oci::Namespace::Mode::join, init->pidfd.get()};
  ASSERT_TRUE(run(runtime_->launch(std::move(joined))).ok());
  EXPECT_EQ(next_exit().id, "c1");
  EXPECT_EQ(joined_log(log_of("c1")), "berth-pod-init\n");
  ASSERT_TRUE(run(runtime_->signal("p1", SIGTERM)).ok());
  EXPECT_EQ(next_exit().id, "p1");
  EXPECT_TRUE(runtime_->pod_inits().empty());
}

}  // namespace
}  // namespace berth::plugins
