// SPDX-License-Identifier: Apache-2.0
// What plugins/api/runtime_handler.h promises, for any implementation: include this header in a
// test, derive a factory, instantiate.
//
//   struct Mine : RuntimeHandlerFactory { ... };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mine, RuntimeHandlerLife, Mine);
//   ... and the same for every suite of runtime_handler_suite.h, _streams.h and _recovery.h
#pragma once

#include <signal.h>

#include "tests/conformance/runtime_handler_fixture.h"

namespace berth::plugins {

template <typename Factory>
class RuntimeHandlerLife : public RuntimeHandlerFixture<Factory> {};

TYPED_TEST_SUITE_P(RuntimeHandlerLife);

TYPED_TEST_P(RuntimeHandlerLife, SandboxIsReadyUntilItIsStopped) {
  SandboxRequest request = this->sandbox_request("s1");
  auto started = this->run(this->handler().start_sandbox(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_EQ(started->sandbox_id, "s1");
  EXPECT_TRUE(started->ready) << started->lost;
  EXPECT_TRUE(started->netns.valid()) << "a duplicate of the network namespace";
  EXPECT_EQ(started->init_pid, 0) << "no shared PID namespace, no init";
  auto status = this->run(this->handler().sandbox_status("s1"));
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_TRUE(status->ready) << status->lost;
  ASSERT_TRUE(this->run(this->handler().stop_sandbox("s1")).ok());
  this->expect_error(this->run(this->handler().sandbox_status("s1")), Errc::not_found);
}

TYPED_TEST_P(RuntimeHandlerLife, SandboxWithASharedPidNamespaceHasAnInit) {
  SandboxRequest request = this->sandbox_request("s1");
  request.namespaces.pid = true;
  auto started = this->run(this->handler().start_sandbox(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_GT(started->init_pid, 0);
  EXPECT_TRUE(this->run(this->handler().stop_sandbox("s1")).ok());
  this->expect_error(this->run(this->handler().sandbox_status("s1")), Errc::not_found);
}

TYPED_TEST_P(RuntimeHandlerLife, SandboxIsStartedOnce) {
  this->start_sandbox("s1");
  this->expect_error(this->run(this->handler().start_sandbox(this->sandbox_request("s1"))),
                     Errc::failed_precondition);
  auto status = this->run(this->handler().sandbox_status("s1"));
  ASSERT_TRUE(status.ok()) << "the first one is untouched";
  EXPECT_TRUE(status->ready);
}

TYPED_TEST_P(RuntimeHandlerLife, DescriptorsAreKeptInTheirOrderAndCanBeReplaced) {
  SandboxRequest request = this->sandbox_request("s1");
  request.kept = this->files({"first", "second", "third"});
  auto started = this->run(this->handler().start_sandbox(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_EQ(this->texts(started->kept), (std::vector<std::string>{"first", "second", "third"}));
  auto replaced = this->run(this->handler().keep("s1", this->files({"other"})));
  ASSERT_TRUE(replaced.ok()) << replaced.error().message();
  auto status = this->run(this->handler().sandbox_status("s1"));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(this->texts(status->kept), (std::vector<std::string>{"other"}));
}

TYPED_TEST_P(RuntimeHandlerLife, MoreThanThreeKeptDescriptorsAreRefusedAndNothingIsLeft) {
  SandboxRequest request = this->sandbox_request("s1");
  request.kept = this->files({"1", "2", "3", "4"});
  this->expect_error(this->run(this->handler().start_sandbox(std::move(request))),
                     Errc::invalid_argument);
  this->expect_error(this->run(this->handler().sandbox_status("s1")), Errc::not_found);
  this->start_sandbox("s1");
}

TYPED_TEST_P(RuntimeHandlerLife, UnknownIdsAreHarmless) {
  EXPECT_TRUE(this->run(this->handler().stop_sandbox("unknown")).ok());
  EXPECT_TRUE(this->run(this->handler().remove("unknown")).ok());
  EXPECT_TRUE(this->run(this->handler().signal("unknown", SIGKILL)).ok());
  EXPECT_TRUE(this->run(this->handler().kill_exec("unknown")).ok());
  this->expect_error(this->run(this->handler().sandbox_status("unknown")), Errc::not_found);
  this->expect_error(this->run(this->handler().keep("unknown", {})), Errc::not_found);
}

TYPED_TEST_P(RuntimeHandlerLife, StopAndRemoveMayBeRepeated) {
  this->start_sandbox("s1");
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 3});
  this->expect_exit("c1", 3);
  for (int i = 0; i < 2; ++i) {
    auto removed = this->run(this->handler().remove("c1"));
    EXPECT_TRUE(removed.ok()) << removed.error().message();
  }
  for (int i = 0; i < 2; ++i) {
    auto stopped = this->run(this->handler().stop_sandbox("s1"));
    EXPECT_TRUE(stopped.ok()) << stopped.error().message();
  }
}

TYPED_TEST_P(RuntimeHandlerLife, ExitCodeIsThatOfTheProgram) {
  this->start_sandbox("s1");
  const std::int64_t before = realtime_now_ns();
  const Started started =
      this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 7});
  EXPECT_GT(started.pid, 0);
  EXPECT_GE(started.started_at_ns, before);
  const Exit exit = this->expect_exit("c1", 7);
  EXPECT_EQ(exit.of, Exit::Of::container);
  EXPECT_GE(exit.finished_at_ns, started.started_at_ns);
  EXPECT_LE(exit.finished_at_ns, realtime_now_ns());
}

TYPED_TEST_P(RuntimeHandlerLife, KilledContainerEndsWith128PlusTheSignal) {
  this->start_sandbox("s1");
  this->start("s1", "c1", {});
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  this->expect_exit("c1", 128 + SIGKILL);
  EXPECT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok()) << "gone is no error";
}

TYPED_TEST_P(RuntimeHandlerLife, ContainerCanCatchItsStopSignal) {
  this->start_sandbox("s1");
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits_on_term, .exit_code = 5});
  // The shell needs a moment to set its trap; a signal before that is dropped by the first process
  // of a PID namespace.
  const Deadline deadline = Deadline::after_ms(20'000);
  std::optional<Exit> exit;
  while (!exit && !deadline.passed()) {
    ASSERT_TRUE(this->run(this->handler().signal("c1", SIGTERM)).ok());
    exit = this->next_exit_within(50);
  }
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_code, 5);
}

TYPED_TEST_P(RuntimeHandlerLife, RunningContainerIsNotForgotten) {
  this->start_sandbox("s1");
  this->start("s1", "c1", {});
  this->expect_error(this->run(this->handler().remove("c1")), Errc::failed_precondition);
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  this->expect_exit("c1", 128 + SIGKILL);
  EXPECT_TRUE(this->run(this->handler().remove("c1")).ok());
}

TYPED_TEST_P(RuntimeHandlerLife, ContainerIsStartedOnce) {
  this->start_sandbox("s1");
  this->start("s1", "c1", {});
  this->expect_error(this->try_start("s1", "c1", {}), Errc::failed_precondition);
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  this->expect_exit("c1", 128 + SIGKILL);
  this->expect_error(this->try_start("s1", "c1", {}), Errc::failed_precondition);
  ASSERT_TRUE(this->run(this->handler().remove("c1")).ok());
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits});
  this->expect_exit("c1", 0);
}

TYPED_TEST_P(RuntimeHandlerLife, FailedStartNamesTheStepAndLeavesNothing) {
  this->start_sandbox("s1");
  auto missing = this->try_start("s1", "c1", {.kind = fakes::Program::Kind::missing});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Errc::not_found) << missing.error().message();
  EXPECT_NE(missing.error().message().find("exec"), std::string::npos) << missing.error().message();
  EXPECT_NE(missing.error().message().find("ENOENT"), std::string::npos)
      << missing.error().message();
  auto denied = this->try_start("s1", "c1", {.kind = fakes::Program::Kind::no_program});
  ASSERT_FALSE(denied.ok()) << "the same id again: nothing was left";
  EXPECT_EQ(denied.error().code, Errc::permission_denied) << denied.error().message();
  EXPECT_FALSE(this->next_exit_within(50).has_value()) << "what never ran has no exit";
  this->start("s1", "c1", {.kind = fakes::Program::Kind::exits, .exit_code = 1});
  this->expect_exit("c1", 1);
}

TYPED_TEST_P(RuntimeHandlerLife, ContainerNeedsItsSandbox) {
  this->expect_error(this->try_start("unknown", "c1", {}), Errc::failed_precondition);
  this->start_sandbox("s1");
  ASSERT_TRUE(this->run(this->handler().stop_sandbox("s1")).ok());
  this->expect_error(this->try_start("s1", "c1", {}), Errc::failed_precondition);
}

TYPED_TEST_P(RuntimeHandlerLife, SandboxWithoutItsInitIsNotReadyAndStartsNothing) {
  SandboxRequest request = this->sandbox_request("s1");
  request.namespaces.pid = true;
  auto started = this->run(this->handler().start_sandbox(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  this->factory().end_init(*started);
  const std::optional<Exit> exit = this->next_exit_within(20'000);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->of, Exit::Of::sandbox);
  EXPECT_EQ(exit->id, "s1");
  auto status = this->run(this->handler().sandbox_status("s1"));
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_FALSE(status->ready);
  EXPECT_FALSE(status->lost.empty()) << "says what is lost";
  this->expect_error(this->try_start("s1", "c1", {}), Errc::failed_precondition);
  EXPECT_TRUE(this->run(this->handler().stop_sandbox("s1")).ok());
}

TYPED_TEST_P(RuntimeHandlerLife, CheckTakesAGoodSpecAndRefusesHooksByName) {
  oci::Spec good = this->factory().spec({});
  auto taken = this->run(this->handler().check(good));
  EXPECT_TRUE(taken.ok()) << taken.error().message();
  const std::pair<const char*, std::vector<oci::Hook> oci::Hooks::*> all[] = {
      {"prestart", &oci::Hooks::prestart},
      {"createRuntime", &oci::Hooks::create_runtime},
      {"createContainer", &oci::Hooks::create_container},
      {"startContainer", &oci::Hooks::start_container},
      {"poststart", &oci::Hooks::poststart},
      {"poststop", &oci::Hooks::poststop}};
  for (const auto& [name, member] : all) {
    oci::Spec hooked = this->factory().spec({});
    (hooked.hooks.*member).push_back({.path = "/bin/true", .args = {}, .env = {}, .timeout = {}});
    auto refused = this->run(this->handler().check(hooked));
    if (refused.ok()) continue;  // a handler that runs hooks of this kind
    const bool is_refusal =
        refused.error().is(Errc::invalid_argument) || refused.error().is(Errc::unimplemented);
    EXPECT_TRUE(is_refusal) << refused.error().message();
    EXPECT_NE(refused.error().message().find("hooks"), std::string::npos)
        << name << ": " << refused.error().message();
  }
}

TYPED_TEST_P(RuntimeHandlerLife, LongestIdsAreFine) {
  const std::string sandbox(kIdBytesMax, 's');
  const std::string container(kIdBytesMax, 'c');
  const std::string exec(kIdBytesMax, 'e');
  this->start_sandbox(sandbox);
  this->start(sandbox, container, {});
  auto started = this->exec(container, exec, {.kind = fakes::Program::Kind::exits, .exit_code = 2});
  ASSERT_TRUE(started.ok()) << started.error().message();
  this->expect_exit(exec, 2);
  ASSERT_TRUE(this->run(this->handler().signal(container, SIGKILL)).ok());
  this->expect_exit(container, 128 + SIGKILL);
  EXPECT_TRUE(this->run(this->handler().remove(container)).ok());
  EXPECT_TRUE(this->run(this->handler().stop_sandbox(sandbox)).ok());
}

TYPED_TEST_P(RuntimeHandlerLife, SandboxWithAnInitMayHaveTheLongestId) {
  SandboxRequest request = this->sandbox_request(std::string(kIdBytesMax, 's'));
  request.namespaces.pid = true;
  auto started = this->run(this->handler().start_sandbox(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_TRUE(this->run(this->handler().stop_sandbox(std::string(kIdBytesMax, 's'))).ok());
}

TYPED_TEST_P(RuntimeHandlerLife, TwoSandboxesStartAtOnceAndDoNotTouchEachOther) {
  auto both_started = this->run(both(this->handler().start_sandbox(this->sandbox_request("s1")),
                                     this->handler().start_sandbox(this->sandbox_request("s2"))));
  ASSERT_TRUE(both_started.ok());
  ASSERT_TRUE(both_started->first.ok()) << both_started->first.error().message();
  ASSERT_TRUE(both_started->second.ok()) << both_started->second.error().message();
  this->start("s1", "c1", {});
  this->start("s2", "c2", {});
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  this->expect_exit("c1", 128 + SIGKILL);
  ASSERT_TRUE(this->run(this->handler().remove("c1")).ok());
  ASSERT_TRUE(this->run(this->handler().stop_sandbox("s1")).ok());
  auto other = this->run(this->handler().sandbox_status("s2"));
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->ready);
  auto inside = this->exec("c2", "e2", {.kind = fakes::Program::Kind::exits, .exit_code = 9});
  ASSERT_TRUE(inside.ok()) << inside.error().message();
  this->expect_exit("e2", 9);
}

TYPED_TEST_P(RuntimeHandlerLife, ManyContainersEachEndOnceWithTheirOwnCode) {
  constexpr int kContainers = 40;
  this->start_sandbox("s1");
  for (int i = 0; i < kContainers; ++i) {
    this->start("s1", "c" + std::to_string(i),
                {.kind = fakes::Program::Kind::exits, .exit_code = i});
  }
  std::map<std::string, int> codes;
  for (int i = 0; i < kContainers; ++i) {
    const std::optional<Exit> exit = this->next_exit_within(20'000);
    ASSERT_TRUE(exit.has_value()) << "after " << i;
    EXPECT_TRUE(codes.emplace(exit->id, exit->exit_code.value_or(-1)).second) << exit->id;
  }
  for (int i = 0; i < kContainers; ++i) EXPECT_EQ(codes["c" + std::to_string(i)], i);
  EXPECT_FALSE(this->next_exit_within(50).has_value());
}

TYPED_TEST_P(RuntimeHandlerLife, WaitingForAnExitEndsWhenItIsCancelledOrTheHandlerIsClosed) {
  auto cancelled = this->run(
      with_deadline(this->factory().ring(), Deadline::after_ms(20), this->handler().next_exit()));
  this->expect_error(std::move(cancelled), Errc::deadline_exceeded);
  auto closed = this->run(both(this->handler().next_exit(), this->handler().close()));
  ASSERT_TRUE(closed.ok());
  this->expect_error(std::move(closed->first), Errc::cancelled);
  this->factory().restart();
  this->recover_all();
}

REGISTER_TYPED_TEST_SUITE_P(
    RuntimeHandlerLife, SandboxIsReadyUntilItIsStopped, SandboxWithASharedPidNamespaceHasAnInit,
    SandboxIsStartedOnce, DescriptorsAreKeptInTheirOrderAndCanBeReplaced,
    MoreThanThreeKeptDescriptorsAreRefusedAndNothingIsLeft, UnknownIdsAreHarmless,
    StopAndRemoveMayBeRepeated, ExitCodeIsThatOfTheProgram, KilledContainerEndsWith128PlusTheSignal,
    ContainerCanCatchItsStopSignal, RunningContainerIsNotForgotten, ContainerIsStartedOnce,
    FailedStartNamesTheStepAndLeavesNothing, ContainerNeedsItsSandbox,
    SandboxWithoutItsInitIsNotReadyAndStartsNothing, CheckTakesAGoodSpecAndRefusesHooksByName,
    LongestIdsAreFine, SandboxWithAnInitMayHaveTheLongestId,
    TwoSandboxesStartAtOnceAndDoNotTouchEachOther, ManyContainersEachEndOnceWithTheirOwnCode,
    WaitingForAnExitEndsWhenItIsCancelledOrTheHandlerIsClosed);

}  // namespace berth::plugins
