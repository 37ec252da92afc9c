// SPDX-License-Identifier: Apache-2.0
// A new agent: what plugins/api/runtime_handler.h promises of recover() and of exits that are told
// again.
#pragma once

#include <signal.h>

#include "tests/conformance/runtime_handler_fixture.h"

namespace berth::plugins {

template <typename Factory>
class RuntimeHandlerRecovery : public RuntimeHandlerFixture<Factory> {
 protected:
  void SetUp() override {
    RuntimeHandlerFixture<Factory>::SetUp();
    this->start_sandbox("s1");
  }
  Recovered restart() {
    this->factory().restart();
    return this->recover_all();
  }
};

TYPED_TEST_SUITE_P(RuntimeHandlerRecovery);

TYPED_TEST_P(RuntimeHandlerRecovery, LivingContainerIsFoundWithItsPidAndTime) {
  const Started started = this->start("s1", "c1", {});
  const Recovered recovered = this->restart();
  ASSERT_EQ(recovered.living.size(), 1U);
  EXPECT_EQ(recovered.living[0].container_id, "c1");
  EXPECT_EQ(recovered.living[0].pid, started.pid);
  EXPECT_EQ(recovered.living[0].started_at_ns, started.started_at_ns);
  EXPECT_FALSE(recovered.living[0].log_lost);
  EXPECT_TRUE(recovered.exited.empty());
  EXPECT_TRUE(recovered.ended.empty());
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  this->expect_exit("c1", 128 + SIGKILL);
}

TYPED_TEST_P(RuntimeHandlerRecovery, SandboxIsFoundReadyWithWhatItKeeps) {
  ASSERT_TRUE(this->run(this->handler().keep("s1", this->files({"a", "b"}))).ok());
  const Recovered recovered = this->restart();
  ASSERT_EQ(recovered.sandboxes.size(), 1U);
  EXPECT_EQ(recovered.sandboxes[0].sandbox_id, "s1");
  EXPECT_TRUE(recovered.sandboxes[0].ready) << recovered.sandboxes[0].lost;
  EXPECT_TRUE(recovered.sandboxes[0].netns.valid());
  EXPECT_EQ(this->texts(recovered.sandboxes[0].kept), (std::vector<std::string>{"a", "b"}));
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 8});
  this->expect_exit("c1", 8);
}

TYPED_TEST_P(RuntimeHandlerRecovery, InitIsFoundAgain) {
  this->start_sandbox("s2", true);
  auto before = this->run(this->handler().sandbox_status("s2"));
  ASSERT_TRUE(before.ok());
  const Recovered recovered = this->restart();
  ASSERT_EQ(recovered.sandboxes.size(), 2U);
  for (const SandboxStatus& sandbox : recovered.sandboxes) {
    EXPECT_TRUE(sandbox.ready) << sandbox.lost;
    const bool with_init = sandbox.sandbox_id == "s2";
    EXPECT_EQ(sandbox.init_pid, with_init ? before->init_pid : 0);
  }
}

TYPED_TEST_P(RuntimeHandlerRecovery, ExitIsToldAgainUntilTheContainerIsRemoved) {
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 3});
  this->expect_exit("c1", 3);
  Recovered recovered = this->restart();
  ASSERT_EQ(recovered.exited.size(), 1U);
  EXPECT_EQ(recovered.exited[0].id, "c1");
  EXPECT_EQ(recovered.exited[0].exit_code, 3);
  EXPECT_GT(recovered.exited[0].finished_at_ns, 0);
  ASSERT_TRUE(this->run(this->handler().remove("c1")).ok());
  recovered = this->restart();
  EXPECT_TRUE(recovered.exited.empty());
  EXPECT_FALSE(this->next_exit_within(50).has_value());
}

TYPED_TEST_P(RuntimeHandlerRecovery, ExitWhileNoAgentRanIsToldToTheNextOne) {
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 4});
  const Recovered recovered = this->restart();
  // It may have ended before or after the new agent looked.
  if (recovered.exited.empty()) {
    this->expect_exit("c1", 4);
  } else {
    EXPECT_EQ(recovered.exited[0].exit_code, 4);
  }
}

TYPED_TEST_P(RuntimeHandlerRecovery, UnknownContainersSandboxesAndExecsAreEnded) {
  this->start("s1", "known", {});
  this->start("s1", "unknown", {});
  ASSERT_TRUE(this->exec("known", "e1", {}).ok());
  this->start_sandbox("s2", true);
  this->factory().restart();
  const Recovered recovered =
      this->recover({{.sandbox_id = "s1", .namespaces = {}, .container_ids = {"known"}}});
  EXPECT_FALSE(recovered.ended.empty()) << "says what was ended";
  ASSERT_EQ(recovered.living.size(), 1U);
  EXPECT_EQ(recovered.living[0].container_id, "known");
  EXPECT_EQ(recovered.sandboxes.size(), 1U);
  this->expect_error(this->run(this->handler().sandbox_status("s2")), Errc::not_found);
  // The ids are free as soon as the processes have ended.
  const Deadline deadline = Deadline::after_ms(20'000);
  for (;;) {
    auto started =
        this->try_start("s1", "unknown", {.kind = fakes::Program::Kind::exits, .exit_code = 2});
    if (started.ok()) break;
    ASSERT_EQ(started.error().code, Errc::failed_precondition) << started.error().message();
    ASSERT_FALSE(deadline.passed());
    static_cast<void>(this->next_exit_within(10));
  }
  this->expect_exit("unknown", 2);
}

TYPED_TEST_P(RuntimeHandlerRecovery, SandboxThatWasNeverStartedIsNotReady) {
  this->factory().restart();
  const Recovered recovered =
      this->recover({{.sandbox_id = "s1", .namespaces = {}, .container_ids = {}},
                     {.sandbox_id = "never", .namespaces = {}, .container_ids = {"never-either"}}});
  for (const SandboxStatus& sandbox : recovered.sandboxes) {
    EXPECT_EQ(sandbox.ready, sandbox.sandbox_id == "s1") << sandbox.lost;
  }
  EXPECT_TRUE(recovered.living.empty());
  EXPECT_TRUE(recovered.exited.empty());
}

TYPED_TEST_P(RuntimeHandlerRecovery, LogGoesOnInTheSameFile) {
  StartRequest request = this->start_request("s1", "c1", {.kind = fakes::Program::Kind::copies});
  request.stdio.open_stdin = true;
  this->start(std::move(request));
  this->restart();
  auto fd = this->run(this->handler().stdin_of("c1"));
  ASSERT_TRUE(fd.ok()) << fd.error().message();
  ASSERT_TRUE(fd->valid()) << "stdin is found again, too";
  ASSERT_EQ(::write(fd->get(), "later\n", 6), 6);
  EXPECT_TRUE(this->log_gets("c1", "later\n"));
}

TYPED_TEST_P(RuntimeHandlerRecovery, LostLogIsToldAndCanBeReopened) {
  this->start("s1", "c1", {.kind = fakes::Program::Kind::repeats, .text = "again"});
  ASSERT_TRUE(this->log_gets("c1", "again\n"));
  if (!this->factory().lose_logs()) return;
  const Recovered recovered = this->recover_all();
  ASSERT_EQ(recovered.living.size(), 1U);
  EXPECT_TRUE(recovered.living[0].log_lost);
  auto reopened = this->run(this->handler().reopen_log("c1", this->open_log("c1-new")));
  ASSERT_TRUE(reopened.ok()) << reopened.error().message();
  EXPECT_TRUE(this->log_gets("c1-new", "again\n"));
}

TYPED_TEST_P(RuntimeHandlerRecovery, UnseenEndHasNoExitCode) {
  const Started started = this->start("s1", "c1", {});
  if (!this->factory().end_unseen("c1", started.pid)) return;
  const Recovered recovered = this->recover_all();
  EXPECT_TRUE(recovered.living.empty());
  // Nothing of it may be known any more; what is known is not invented.
  for (const Exit& exit : recovered.exited) EXPECT_FALSE(exit.exit_code.has_value());
  EXPECT_TRUE(this->run(this->handler().remove("c1")).ok());
}

REGISTER_TYPED_TEST_SUITE_P(RuntimeHandlerRecovery, LivingContainerIsFoundWithItsPidAndTime,
                            SandboxIsFoundReadyWithWhatItKeeps, InitIsFoundAgain,
                            ExitIsToldAgainUntilTheContainerIsRemoved,
                            ExitWhileNoAgentRanIsToldToTheNextOne,
                            UnknownContainersSandboxesAndExecsAreEnded,
                            SandboxThatWasNeverStartedIsNotReady, LogGoesOnInTheSameFile,
                            LostLogIsToldAndCanBeReopened, UnseenEndHasNoExitCode);

}  // namespace berth::plugins
