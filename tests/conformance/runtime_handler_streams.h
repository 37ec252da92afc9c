// SPDX-License-Identifier: Apache-2.0
// Execs and standard streams: the part of plugins/api/runtime_handler.h that ExecSync, logs and
// attach are made of.
#pragma once

#include <poll.h>
#include <signal.h>

#include "tests/conformance/runtime_handler_fixture.h"

namespace berth::plugins {

template <typename Factory>
class RuntimeHandlerStreams : public RuntimeHandlerFixture<Factory> {
 protected:
  using Kind = fakes::Program::Kind;

  void SetUp() override {
    RuntimeHandlerFixture<Factory>::SetUp();
    this->start_sandbox("s1");
  }
  static std::string read_all(int fd) {
    std::string text;
    char buffer[256];
    for (;;) {
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, 20'000) != 1) return text + " (no end of file)";
      const ssize_t size = ::read(fd, buffer, sizeof buffer);
      if (size <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(size));
    }
  }
  // True if the log is one record of stdout with this text, in the format of the CRI:
  // "2026-11-22T18:30:00.123456789Z stdout F text\n".
  static bool is_record(const std::string& line, const std::string& text) {
    return line.size() == 40 + text.size() + 1 && line[4] == '-' && line[10] == 'T' &&
           line[19] == '.' && line[29] == 'Z' && line.substr(30, 10) == " stdout F " &&
           line.substr(40) == text + "\n";
  }
  // `cat` with an open stdin.
  void start_copying(const std::string& id) {
    StartRequest request = this->start_request("s1", id, {.kind = Kind::copies});
    request.stdio.open_stdin = true;
    this->start(std::move(request));
  }
  void write_stdin(const std::string& id, const std::string& text) {
    auto fd = this->run(this->handler().stdin_of(id));
    ASSERT_TRUE(fd.ok()) << fd.error().message();
    ASSERT_TRUE(fd->valid());
    ASSERT_EQ(::write(fd->get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
};

TYPED_TEST_SUITE_P(RuntimeHandlerStreams);

TYPED_TEST_P(RuntimeHandlerStreams, ExecWritesToItsOwnStreamsAndItsExitIsReportedOnce) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {});
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  ExecRequest request = this->exec_request("c1", "e1", {.kind = Kind::prints, .text = "hello"});
  request.stdio.out.reset(ends[1]);
  auto started = this->run(this->handler().exec(std::move(request)));
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_GT(started->pid, 0);
  const Exit exit = this->expect_exit("e1", 0);
  EXPECT_EQ(exit.of, Exit::Of::exec);
  EXPECT_EQ(this->read_all(reader.get()), "hello\n") << "and no other process holds the stream";
  EXPECT_FALSE(this->next_exit_within(50).has_value());
  auto again = this->exec("c1", "e1", {.kind = Kind::exits, .exit_code = 4});
  ASSERT_TRUE(again.ok()) << "nothing of an exec is left: " << again.error().message();
  this->expect_exit("e1", 4);
}

TYPED_TEST_P(RuntimeHandlerStreams, ExecNeedsAContainerThatRuns) {
  using Kind = fakes::Program::Kind;
  this->expect_error(this->exec("unknown", "e1", {.kind = Kind::exits}), Errc::not_found);
  this->start("s1", "c1", {.kind = Kind::exits});
  this->expect_exit("c1", 0);
  this->expect_error(this->exec("c1", "e1", {.kind = Kind::exits}), Errc::failed_precondition);
}

TYPED_TEST_P(RuntimeHandlerStreams, FailedExecLeavesNothingAndTheContainerRuns) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {});
  this->expect_error(this->exec("c1", "e1", {.kind = Kind::missing}), Errc::not_found);
  this->expect_error(this->exec("c1", "e1", {.kind = Kind::no_program}), Errc::permission_denied);
  EXPECT_FALSE(this->next_exit_within(50).has_value());
  ASSERT_TRUE(this->exec("c1", "e1", {.kind = Kind::exits, .exit_code = 6}).ok());
  this->expect_exit("e1", 6);
}

TYPED_TEST_P(RuntimeHandlerStreams, KilledExecIsReportedAndTheContainerRuns) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {});
  ASSERT_TRUE(this->exec("c1", "e1", {}).ok());
  ASSERT_TRUE(this->run(this->handler().kill_exec("e1")).ok());
  this->expect_exit("e1", 128 + SIGKILL);
  EXPECT_TRUE(this->run(this->handler().kill_exec("e1")).ok()) << "gone is no error";
  ASSERT_TRUE(this->exec("c1", "e2", {.kind = Kind::exits}).ok());
  this->expect_exit("e2", 0);
}

TYPED_TEST_P(RuntimeHandlerStreams, EndOfTheContainerEndsItsExecs) {
  this->start("s1", "c1", {});
  ASSERT_TRUE(this->exec("c1", "e1", {}).ok());
  ASSERT_TRUE(this->run(this->handler().signal("c1", SIGKILL)).ok());
  std::map<std::string, std::optional<int>> codes;
  for (int i = 0; i < 2; ++i) {
    const std::optional<Exit> exit = this->next_exit_within(20'000);
    ASSERT_TRUE(exit.has_value());
    codes[exit->id] = exit->exit_code;
  }
  EXPECT_EQ(codes["c1"], 128 + SIGKILL);
  EXPECT_EQ(codes["e1"], 128 + SIGKILL);
}

TYPED_TEST_P(RuntimeHandlerStreams, OutputIsLoggedInTheFormatOfTheCri) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {.kind = Kind::prints, .text = "hello log"});
  this->expect_exit("c1", 0);
  ASSERT_TRUE(this->log_gets("c1", "hello log")) << this->log_text("c1");
  EXPECT_TRUE(this->is_record(this->log_text("c1"), "hello log")) << this->log_text("c1");
}

TYPED_TEST_P(RuntimeHandlerStreams, ContainerWithoutALogRuns) {
  using Kind = fakes::Program::Kind;
  StartRequest request =
      this->start_request("s1", "c1", {.kind = Kind::prints, .text = "discarded"});
  request.stdio.log_file.reset();
  this->start(std::move(request));
  this->expect_exit("c1", 0);
}

TYPED_TEST_P(RuntimeHandlerStreams, ReopenedLogSplitsTheOutputBetweenTwoFiles) {
  this->start_copying("c1");
  this->write_stdin("c1", "before\n");
  ASSERT_TRUE(this->log_gets("c1", "before\n"));
  auto reopened = this->run(this->handler().reopen_log("c1", this->open_log("c1-new")));
  ASSERT_TRUE(reopened.ok()) << reopened.error().message();
  this->write_stdin("c1", "after\n");
  ASSERT_TRUE(this->log_gets("c1-new", "after\n"));
  EXPECT_TRUE(this->is_record(this->log_text("c1"), "before")) << this->log_text("c1");
  EXPECT_TRUE(this->is_record(this->log_text("c1-new"), "after")) << this->log_text("c1-new");
}

TYPED_TEST_P(RuntimeHandlerStreams, LogOfAnUnknownContainerCannotBeReopened) {
  this->expect_error(this->run(this->handler().reopen_log("unknown", this->open_log("x"))),
                     Errc::not_found);
}

TYPED_TEST_P(RuntimeHandlerStreams, StdinIsReadableAgainAndEndsWhenItIsClosed) {
  this->start_copying("c1");
  this->write_stdin("c1", "one\n");
  this->write_stdin("c1", "two\n");
  ASSERT_TRUE(this->log_gets("c1", "two\n")) << "a duplicate that is closed does not close stdin";
  EXPECT_FALSE(this->next_exit_within(50).has_value());
  auto closed = this->run(this->handler().close_stdin("c1"));
  ASSERT_TRUE(closed.ok()) << closed.error().message();
  this->expect_exit("c1", 0);
}

TYPED_TEST_P(RuntimeHandlerStreams, StdinThatWasNotAskedForReadsAsEmpty) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {.kind = Kind::copies});
  auto fd = this->run(this->handler().stdin_of("c1"));
  ASSERT_TRUE(fd.ok()) << fd.error().message();
  EXPECT_FALSE(fd->valid());
  this->expect_exit("c1", 0);
}

TYPED_TEST_P(RuntimeHandlerStreams, StdinOnceIsOpenUntilItIsClosed) {
  using Kind = fakes::Program::Kind;
  StartRequest request = this->start_request("s1", "c1", {.kind = Kind::copies});
  request.stdio.open_stdin = true;
  request.stdio.stdin_once = true;
  this->start(std::move(request));
  this->write_stdin("c1", "once\n");
  ASSERT_TRUE(this->log_gets("c1", "once\n"));
  ASSERT_TRUE(this->run(this->handler().close_stdin("c1")).ok());
  this->expect_exit("c1", 0);
}

TYPED_TEST_P(RuntimeHandlerStreams, StdinOfAnExecIsTheCallersOwn) {
  using Kind = fakes::Program::Kind;
  this->start("s1", "c1", {});
  int in[2];
  int out[2];
  ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  UniqueFd writer(in[1]);
  const UniqueFd reader(out[0]);
  ExecRequest request = this->exec_request("c1", "e1", {.kind = Kind::copies});
  request.stdio.in.reset(in[0]);
  request.stdio.out.reset(out[1]);
  ASSERT_TRUE(this->run(this->handler().exec(std::move(request))).ok());
  ASSERT_EQ(::write(writer.get(), "line\n", 5), 5);
  writer.reset();
  this->expect_exit("e1", 0);
  EXPECT_EQ(this->read_all(reader.get()), "line\n");
}

REGISTER_TYPED_TEST_SUITE_P(RuntimeHandlerStreams,
                            ExecWritesToItsOwnStreamsAndItsExitIsReportedOnce,
                            ExecNeedsAContainerThatRuns, FailedExecLeavesNothingAndTheContainerRuns,
                            KilledExecIsReportedAndTheContainerRuns, EndOfTheContainerEndsItsExecs,
                            OutputIsLoggedInTheFormatOfTheCri, ContainerWithoutALogRuns,
                            ReopenedLogSplitsTheOutputBetweenTwoFiles,
                            LogOfAnUnknownContainerCannotBeReopened,
                            StdinIsReadableAgainAndEndsWhenItIsClosed,
                            StdinThatWasNotAskedForReadsAsEmpty, StdinOnceIsOpenUntilItIsClosed,
                            StdinOfAnExecIsTheCallersOwn);

}  // namespace berth::plugins
