// SPDX-License-Identifier: Apache-2.0
// The runtime handler contract (plugins/api/runtime_handler.h) kept by the built-in one.
#include "plugins/native/native.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "core/ring/with_deadline.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::plugins {
namespace {

using keeper::testing::joined_log;

oci::Process process_of(std::vector<std::string> args) {
  return container::testing::base_spec(std::move(args)).process;
}

class NativeRuntimeTest : public keeper::testing::KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    drop_client();
    next_agent({});
    start_sandbox("p0", false);
  }
  void TearDown() override {
    if (runtime_ == nullptr) return KeeperTest::TearDown();
    end_agent();
    connect();
    KeeperTest::TearDown();
  }

  Recovered next_agent(std::vector<KnownSandbox> known) {
    runtime_ = std::make_unique<NativeRuntime>(NativeParts{.ring = *ring_,
                                                           .log = log_,
                                                           .state_dir = options_.state_dir,
                                                           .keeper_binary = options_.binary});
    Result<Recovered> recovered = run(runtime_->recover(std::move(known)));
    EXPECT_TRUE(recovered.ok()) << recovered.error().message();
    return recovered.ok() ? std::move(*recovered) : Recovered{};
  }
  void end_agent() {
    EXPECT_TRUE(run(runtime_->close()).ok());
    runtime_.reset();
    ring_ = Ring::create().value();
  }

  SandboxRequest sandbox(const std::string& id, bool pid) {
    SandboxRequest request;
    request.sandbox_id = id;
    request.namespaces = {.network = false, .ipc = true, .uts = true, .pid = pid};
    request.hostname = "host-of-" + id;
    request.kept.emplace_back(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    return request;
  }
  StartRequest request(const std::string& id, std::vector<std::string> args) {
    StartRequest result;
    result.container_id = id;
    result.sandbox_id = "p0";
    result.spec.process = process_of(std::move(args));
    result.spec.linux.namespaces = {{oci::NamespaceType::pid, ""},
                                    {oci::NamespaceType::mount, ""},
                                    {oci::NamespaceType::cgroup, ""},
                                    {oci::NamespaceType::ipc, ""},
                                    {oci::NamespaceType::uts, ""}};
    result.spec.mounts = {{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
                          {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755"}}};
    result.spec.linux.devices = {{"/dev/null", S_IFCHR | 0666, 1, 3, 0, 0}};
    result.rootfs = container::testing::make_rootfs().release();
    result.stdio.log_file = open_log(log_path(id));
    return result;
  }
  StartRequest inside(const std::string& id, std::vector<std::string> args) {
    StartRequest result = request(id, std::move(args));
    result.sandbox_id = "p1";
    for (oci::Namespace& one : result.spec.linux.namespaces) {
      const bool shared = one.type == oci::NamespaceType::pid ||
                          one.type == oci::NamespaceType::ipc ||
                          one.type == oci::NamespaceType::uts;
      if (shared) one.path = "berth:sandbox";
    }
    return result;
  }
  ExecRequest exec_request(std::vector<std::string> args) {
    ExecRequest result;
    result.container_id = "c1";
    result.exec_id = "e1";
    result.process = process_of(std::move(args));
    return result;
  }
  Started start(StartRequest wanted) {
    Result<Started> started = run(runtime_->start(std::move(wanted)));
    EXPECT_TRUE(started.ok()) << started.error().message();
    return started.ok() ? std::move(*started) : Started{};
  }
  Exit next_exit() {
    Result<Exit> exit = run(with_deadline(*ring_, soon(), runtime_->next_exit()));
    EXPECT_TRUE(exit.ok()) << exit.error().message();
    return exit.ok() ? *exit : Exit{};
  }
  // An agent whose records have the sandbox p0 and these containers.
  Recovered next_agent_with(std::vector<std::string> container_ids) {
    end_agent();
    KnownSandbox known;
    known.sandbox_id = "p0";
    known.namespaces = {.network = false, .ipc = true, .uts = true, .pid = false};
    known.container_ids = std::move(container_ids);
    return next_agent({std::move(known)});
  }
  void start_sandbox(const std::string& id, bool pid) {
    Result<SandboxStatus> status = run(runtime_->start_sandbox(sandbox(id, pid)));
    ASSERT_TRUE(status.ok()) << status.error().message();
    EXPECT_TRUE(status->ready) << status->lost;
    EXPECT_EQ(status->init_pid != 0, pid);
    EXPECT_EQ(status->kept.size(), 1U);
  }
  void kill_both(const std::string& id) {
    ASSERT_TRUE(run(runtime_->signal(id, SIGKILL)).ok());
    EXPECT_EQ(next_exit().exit_code, 128 + SIGKILL);
    EXPECT_TRUE(run(runtime_->remove(id)).ok());
  }

  std::unique_ptr<NativeRuntime> runtime_;
};

TEST_F(NativeRuntimeTest, StartedContainerIsReportedAndRemoved) {
  const Started started = start(request("c1", {"sh", "-c", "echo hello; ulimit -n; exit 4"}));
  ASSERT_FALSE(started.stages.empty());
  EXPECT_EQ(started.stages.back().first, "ready");
  const Exit exit = next_exit();
  EXPECT_EQ(exit.id, "c1");
  EXPECT_EQ(exit.exit_code, 4);
  EXPECT_EQ(joined_log(log_of("c1")), "hello\n1024\n") << "the keeper's own limit is not inherited";
  const Recovered recovered = next_agent_with({"c1"});
  ASSERT_EQ(recovered.exited.size(), 1u);
  EXPECT_EQ(recovered.exited[0].exit_code, 4);
  EXPECT_EQ(next_exit().id, "c1") << "reported again until it is removed";
  ASSERT_TRUE(run(runtime_->remove("c1")).ok());
  EXPECT_TRUE(run(runtime_->remove("c1")).ok()) << "unknown is fine";
}

TEST_F(NativeRuntimeTest, LivingContainerIsFoundByTheNextAgent) {
  const Started started = start(request("c1", {"sleep", "100"}));
  const Recovered recovered = next_agent_with({"c1"});
  ASSERT_EQ(recovered.living.size(), 1u);
  EXPECT_EQ(recovered.living[0].pid, started.pid);
  EXPECT_EQ(recovered.living[0].started_at_ns, started.started_at_ns);
  EXPECT_FALSE(recovered.living[0].log_lost);
  EXPECT_TRUE(run(runtime_->start(request("c1", {"true"}))).error().is(Errc::failed_precondition));
  ASSERT_TRUE(run(runtime_->signal("c1", SIGKILL)).ok());
  EXPECT_EQ(next_exit().exit_code, 128 + SIGKILL);
  EXPECT_TRUE(run(runtime_->signal("c1", SIGKILL)).ok()) << "gone already is no error";
  EXPECT_TRUE(run(runtime_->remove("c1")).ok());
}

TEST_F(NativeRuntimeTest, ExecRunsInsideTheContainerWithItsOwnStreams) {
  start(request("c1", {"sh", "-c", "echo x >/tmp/mark; sleep 100"}));
  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  ExecRequest exec = exec_request({"sh", "-c", "until cat /tmp/mark; do :; done; exit 6"});
  exec.stdio.in.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  exec.stdio.out.reset(out[1]);
  exec.stdio.err.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const UniqueFd reader(out[0]);
  Result<Started> started = run(runtime_->exec(std::move(exec)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  const Exit exit = next_exit();
  EXPECT_EQ(exit.of, Exit::Of::exec);
  EXPECT_EQ(exit.id, "e1");
  EXPECT_EQ(exit.exit_code, 6);
  char text[16] = {};
  EXPECT_EQ(::read(reader.get(), text, sizeof text), 2);
  EXPECT_EQ(::read(reader.get(), text, sizeof text), 0) << "no other process has the stream";
  kill_both("c1");
}

TEST_F(NativeRuntimeTest, KilledExecTakesItsProcessGroupWithIt) {
  start(request("c1", {"sleep", "100"}));
  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  ExecRequest exec = exec_request({"sh", "-c", "sleep 100 & echo; sleep 100"});
  exec.stdio.out.reset(out[1]);
  exec.stdio.err.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const UniqueFd reader(out[0]);
  ASSERT_TRUE(run(runtime_->exec(std::move(exec))).ok());
  char text[16] = {};
  ASSERT_EQ(::read(reader.get(), text, sizeof text), 1);
  ASSERT_TRUE(run(runtime_->kill_exec("e1")).ok());
  EXPECT_EQ(next_exit().exit_code, 128 + SIGKILL);
  EXPECT_TRUE(run(runtime_->kill_exec("e1")).ok()) << "gone is fine";
  kill_both("c1");
}

TEST_F(NativeRuntimeTest, ExecNeedsALivingContainer) {
  EXPECT_TRUE(run(runtime_->exec(exec_request({"true"}))).error().is(Errc::not_found));
  start(request("c1", {"true"}));
  next_exit();
  EXPECT_TRUE(run(runtime_->exec(exec_request({"true"}))).error().is(Errc::failed_precondition));
}

TEST_F(NativeRuntimeTest, MissingCommandIsNotFoundAndAFileThatIsNoProgramIsDenied) {
  Result<Started> missing = run(runtime_->start(request("c1", {"/no/such"})));
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is(Errc::not_found)) << missing.error().message();
  EXPECT_EQ(missing.error().op, "exec");
  Result<Started> denied = run(runtime_->start(request("c1", {"/etc"})));
  ASSERT_FALSE(denied.ok());
  EXPECT_TRUE(denied.error().is(Errc::permission_denied)) << denied.error().message();
}

TEST_F(NativeRuntimeTest, StdinIsWrittenAndClosed) {
  StartRequest wanted = request("c1", {"sh", "-c", "cat; exit 3"});
  wanted.stdio.open_stdin = true;
  start(std::move(wanted));
  UniqueFd stdin_end = run(runtime_->stdin_of("c1")).value();
  ASSERT_TRUE(stdin_end.valid());
  ASSERT_EQ(::write(stdin_end.get(), "text\n", 5), 5);
  stdin_end.reset();
  ASSERT_TRUE(run(runtime_->close_stdin("c1")).ok());
  EXPECT_EQ(next_exit().exit_code, 3);
  EXPECT_EQ(joined_log(log_of("c1")), "text\n");
  EXPECT_FALSE(run(runtime_->stdin_of("c1")).value().valid());
}

TEST_F(NativeRuntimeTest, SandboxSharesItsNamespacesAndItsInit) {
  start_sandbox("p1", true);
  start(inside("c1", {"sh", "-c", "cat /proc/1/comm; hostname; exit 0"}));
  EXPECT_EQ(next_exit().id, "c1");
  EXPECT_EQ(joined_log(log_of("c1")), "berth-pod-init\nhost-of-p1\n");
  EXPECT_TRUE(run(runtime_->remove("c1")).ok());
  ASSERT_TRUE(run(runtime_->stop_sandbox("p1")).ok());
  EXPECT_TRUE(run(runtime_->stop_sandbox("p1")).ok()) << "harmless when repeated";
  EXPECT_TRUE(run(runtime_->sandbox_status("p1")).error().is(Errc::not_found));
}

TEST_F(NativeRuntimeTest, ContainerNeedsASandboxThatWasStarted) {
  Result<Started> refused = run(runtime_->start(inside("c1", {"true"})));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::failed_precondition)) << refused.error().message();
}

TEST_F(NativeRuntimeTest, SandboxWithoutItsInitIsNotReady) {
  start_sandbox("p1", true);
  const SandboxStatus before = run(runtime_->sandbox_status("p1")).value();
  ASSERT_GT(before.init_pid, 1);
  ASSERT_EQ(::kill(before.init_pid, SIGKILL), 0);
  const Exit exit = next_exit();
  EXPECT_EQ(exit.of, Exit::Of::sandbox);
  EXPECT_EQ(exit.id, "p1");
  const SandboxStatus after = run(runtime_->sandbox_status("p1")).value();
  EXPECT_FALSE(after.ready);
  EXPECT_EQ(after.lost, "init");
  Result<Started> refused = run(runtime_->start(inside("c1", {"true"})));
  EXPECT_TRUE(refused.error().is(Errc::failed_precondition)) << refused.error().message();
  EXPECT_TRUE(run(runtime_->stop_sandbox("p1")).ok());
}

TEST_F(NativeRuntimeTest, NextAgentFindsSandboxesAndTheirKeptDescriptors) {
  start_sandbox("p1", true);
  start_sandbox("p2", false);
  std::vector<UniqueFd> kept;
  for (int i = 0; i < 2; ++i) kept.emplace_back(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(run(runtime_->keep("p2", std::move(kept))).ok());
  end_agent();
  const SandboxNamespaces shared{.network = false, .ipc = true, .uts = true, .pid = true};
  const SandboxNamespaces own_pid{.network = false, .ipc = true, .uts = true, .pid = false};
  const Recovered recovered = next_agent(
      {{.sandbox_id = "p1", .namespaces = shared}, {.sandbox_id = "p2", .namespaces = own_pid}});
  ASSERT_EQ(recovered.sandboxes.size(), 2U);
  // This agent has no record of p0.
  EXPECT_EQ(recovered.ended.size(), 1U);
  for (const SandboxStatus& status : recovered.sandboxes) {
    EXPECT_TRUE(status.ready) << status.lost;
    EXPECT_EQ(status.kept.size(), status.sandbox_id == "p1" ? 1U : 2U);
    EXPECT_TRUE(run(runtime_->stop_sandbox(status.sandbox_id)).ok());
  }
}

TEST_F(NativeRuntimeTest, ProcessesAndNamespacesWithoutARecordAreEndedAtTheStart) {
  start_sandbox("p1", true);
  start(request("c1", {"sleep", "100"}));
  start(request("c2", {"sleep", "100"}));
  ASSERT_TRUE(run(runtime_->exec(exec_request({"sleep", "100"}))).ok());
  const Recovered recovered = next_agent_with({"c2"});
  ASSERT_EQ(recovered.living.size(), 1U);
  EXPECT_EQ(recovered.living[0].container_id, "c2");
  const auto has_line = [&recovered](const std::string& text) {
    return std::any_of(recovered.ended.begin(), recovered.ended.end(),
                       [&text](const std::string& line) { return line.starts_with(text); });
  };
  EXPECT_TRUE(has_line("process c1"));
  EXPECT_TRUE(has_line("exec e1"));
  EXPECT_TRUE(has_line("init p1"));
  EXPECT_TRUE(has_line("namespaces p1"));
  ASSERT_TRUE(run(runtime_->signal("c2", SIGKILL)).ok());
  EXPECT_EQ(next_exit().id, "c2") << "the others are not reported";
  EXPECT_TRUE(run(runtime_->remove("c2")).ok());
}

TEST_F(NativeRuntimeTest, NamespacesAreRegainedFromAProcessAfterAgentAndKeeperDied) {
  start_sandbox("p1", true);
  start(inside("c1", {"sleep", "100"}));
  const std::string keeper = runtime_->info().at("keeper_pid");
  end_agent();
  ASSERT_EQ(::kill(static_cast<pid_t>(std::stol(keeper)), SIGKILL), 0);
  const SandboxNamespaces shared{.network = false, .ipc = true, .uts = true, .pid = true};
  const Recovered recovered =
      next_agent({{.sandbox_id = "p1", .namespaces = shared, .container_ids = {"c1"}}});
  ASSERT_EQ(recovered.sandboxes.size(), 1U);
  EXPECT_TRUE(recovered.sandboxes[0].ready) << recovered.sandboxes[0].lost;
  EXPECT_TRUE(recovered.sandboxes[0].kept.empty()) << "no process has them";
  ASSERT_EQ(recovered.living.size(), 1U);
  EXPECT_TRUE(recovered.living[0].log_lost);
  ASSERT_TRUE(run(runtime_->reopen_log("c1", open_log(log_path("c1")))).ok());
  start(inside("c2", {"sh", "-c", "hostname; exit 0"}));
  EXPECT_EQ(next_exit().id, "c2");
  EXPECT_EQ(joined_log(log_of("c2")), "host-of-p1\n");
  ASSERT_TRUE(run(runtime_->stop_sandbox("p1")).ok());
  EXPECT_EQ(next_exit().id, "c1") << "it ends with its init";
}

TEST_F(NativeRuntimeTest, SpecThatBerthCannotLaunchIsRefusedByName) {
  const auto refusal = [this](auto change) {
    StartRequest wanted = request("c1", {"true"});
    change(wanted.spec);
    Result<void> checked = run(runtime_->check(wanted.spec));
    return checked.ok() ? std::string("ok") : checked.error().message();
  };
  EXPECT_EQ(refusal([](oci::Spec&) {}), "ok");
  EXPECT_NE(refusal([](oci::Spec& spec) { spec.hooks.poststop.emplace_back(); }).find("hooks"),
            std::string::npos);
  EXPECT_NE(refusal([](oci::Spec& spec) {
              spec.process.apparmor_profile = "p";
            }).find("process.apparmorProfile"),
            std::string::npos);
  EXPECT_NE(refusal([](oci::Spec& spec) {
              spec.linux.namespaces.push_back({oci::NamespaceType::user, ""});
            }).find("user namespaces"),
            std::string::npos);
  EXPECT_NE(refusal([](oci::Spec& spec) {
              spec.mounts.push_back({"/v", "bind", "/v", {"nosuch"}});
            }).find("`nosuch`"),
            std::string::npos);
}

}  // namespace
}  // namespace berth::plugins
