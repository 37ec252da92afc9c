// SPDX-License-Identifier: Apache-2.0
// Claims about the verbs, from the command line to the exit code, with a runtime in this process.
#include "cri/cli/verbs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/cri/cli/fake_runtime.h"
#include "tests/cri/cli/outcome.h"

namespace berth::cli {
namespace {

using test::berth;
using test::FakeRuntime;
using test::Outcome;
using test::Script;

std::vector<std::string> run_words(const FakeRuntime& fake, std::vector<std::string> more) {
  std::vector<std::string> words = {"run", "--log-dir", fake.directory() + "/logs"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

bool has_logs(const FakeRuntime& fake) {
  return std::filesystem::exists(fake.directory() + "/logs") &&
         !std::filesystem::is_empty(fake.directory() + "/logs");
}

TEST(Run, ShowsTheLogAndEndsWithTheContainersExitCode) {
  Script script;
  script.log =
      "2026-01-01T00:00:00Z stdout P hel\n2026-01-01T00:00:00Z stdout F lo\n"
      "2026-01-01T00:00:00Z stderr F oops\n";
  script.exit_code = 42;
  const FakeRuntime fake(script);
  const Outcome outcome = berth(fake, run_words(fake, {"--rm", "img", "cmd"}));
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.exit_code, 42);
  EXPECT_EQ(outcome.out, "hello\n");
  EXPECT_EQ(outcome.err, "oops\n");
  EXPECT_EQ(fake.pods(), 0u);
  EXPECT_FALSE(has_logs(fake));
}

TEST(Run, EveryExitCodeComesThrough) {
  for (const int code : {0, 1, 126, 127, 128, 137, 200, 255}) {
    Script script;
    script.exit_code = code;
    const FakeRuntime fake(script);
    EXPECT_EQ(berth(fake, run_words(fake, {"--rm", "img"})).exit_code, code);
  }
}

// A runtime that lost the state of a container reports neither success nor an exit code.
TEST(Run, AnUnknownExitStatusIsNotSuccess) {
  Script script;
  script.ends_as = cri::CONTAINER_UNKNOWN;
  const FakeRuntime fake(script);
  EXPECT_EQ(berth(fake, run_words(fake, {"--rm", "img"})).exit_code, 1);
}

TEST(Run, DetachedPrintsTheIdAndLeavesThePod) {
  const FakeRuntime fake(Script{});
  const Outcome outcome = berth(fake, run_words(fake, {"-d", "img"}));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out.size(), 65u) << outcome.out;
  EXPECT_EQ(fake.pods(), 1u);
}

TEST(Run, RefusedStartLeavesNothing) {
  Script script;
  script.refuse_start = true;
  const FakeRuntime fake(script);
  const Outcome outcome = berth(fake, run_words(fake, {"img", "nope"}));
  EXPECT_EQ(outcome.code, Errc::internal);
  EXPECT_NE(outcome.error.find("exec: ENOENT"), std::string::npos) << outcome.error;
  EXPECT_EQ(fake.pods_made(), 1u);
  EXPECT_EQ(fake.pods(), 0u);
  EXPECT_EQ(fake.containers(), 0u);
  EXPECT_FALSE(has_logs(fake));
}

TEST(Run, PullsOnlyAnAbsentImage) {
  const FakeRuntime present(Script{});
  EXPECT_EQ(berth(present, run_words(present, {"--rm", "img"})).exit_code, 0);
  EXPECT_EQ(present.pulls(), 0);
  Script script;
  script.image_present = false;
  const FakeRuntime absent(script);
  EXPECT_EQ(berth(absent, run_words(absent, {"--rm", "img"})).exit_code, 0);
  EXPECT_EQ(absent.pulls(), 1);
}

TEST(Run, SendsItsOptionsToTheRuntime) {
  const FakeRuntime fake(Script{});
  const Outcome outcome =
      berth(fake, run_words(fake, {"-d", "-m", "64m", "--cpus", "0.5", "-e", "K=V", "-u", "5:6",
                                   "-v", "/a:/b:ro", "--read-only", "img", "ls", "-l", "-d"}));
  EXPECT_EQ(outcome.error, "");
  const auto config = fake.last_container();
  EXPECT_EQ(config.linux().resources().memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(config.linux().resources().cpu_quota(), 50'000);
  EXPECT_EQ(config.linux().resources().cpu_period(), 100'000);
  EXPECT_EQ(config.linux().security_context().run_as_user().value(), 5);
  EXPECT_EQ(config.linux().security_context().run_as_group().value(), 6);
  EXPECT_TRUE(config.linux().security_context().readonly_rootfs());
  EXPECT_GT(config.linux().security_context().masked_paths_size(), 0);
  ASSERT_EQ(config.mounts_size(), 1);
  EXPECT_TRUE(config.mounts(0).readonly());
  ASSERT_EQ(config.envs_size(), 1);
  EXPECT_EQ(config.envs(0).value(), "V");
  // Options after IMAGE belong to the command, also if `berth run` has the same ones.
  EXPECT_EQ(std::vector<std::string>(config.args().begin(), config.args().end()),
            (std::vector<std::string>{"ls", "-l", "-d"}));
}

TEST(Exec, PassesOutputAndExitCode) {
  Script script;
  script.exec.set_stderr("bad\n");
  script.exec.set_exit_code(3);
  const FakeRuntime fake(script);
  ASSERT_EQ(berth(fake, run_words(fake, {"-d", "--name", "web", "img"})).exit_code, 0);
  const Outcome outcome = berth(fake, {"exec", "web", "sh", "-c", "ps"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out, "sh\n-c\nps\n");
  EXPECT_EQ(outcome.err, "bad\n");
}

TEST(Exec, OfAnUnknownContainerIsNotFound) {
  const FakeRuntime fake(Script{});
  const Outcome outcome = berth(fake, {"exec", "web", "true"});
  EXPECT_EQ(outcome.code, Errc::not_found);
  EXPECT_EQ(outcome.error, "exec: no pod or container `web`");
}

TEST(Rm, ARunningContainerIsRefusedAndForceTakesItsPodAndLog) {
  Script script;
  script.running_answers = -1;
  const FakeRuntime fake(script);
  ASSERT_EQ(berth(fake, run_words(fake, {"-d", "--name", "web", "img"})).exit_code, 0);
  EXPECT_TRUE(has_logs(fake));
  EXPECT_EQ(berth(fake, {"rm", "web"}).code, Errc::failed_precondition);
  EXPECT_EQ(fake.pods(), 1u);
  EXPECT_EQ(berth(fake, {"rm", "-f", "web"}).exit_code, 0);
  EXPECT_EQ(fake.pods(), 0u);
  EXPECT_EQ(fake.containers(), 0u);
  EXPECT_FALSE(has_logs(fake));
}

TEST(Explain, SaysWhenARuntimeReportsNoStages) {
  const FakeRuntime fake(Script{});
  ASSERT_EQ(berth(fake, run_words(fake, {"-d", "--name", "web", "img"})).exit_code, 0);
  const Outcome outcome = berth(fake, {"explain", "web"});
  EXPECT_EQ(outcome.code, Errc::unimplemented);
  EXPECT_EQ(outcome.error, "explain: fake does not report the stages of a start");
}

TEST(Client, AMissingSocketIsNamedWithItsErrno) {
  std::string endpoint;
  { endpoint = FakeRuntime(Script{}).endpoint(); }
  Client client(endpoint, std::chrono::seconds(5));
  const auto version = client.call(&Runtime::Stub::Version, cri::VersionRequest());
  ASSERT_FALSE(version.ok());
  EXPECT_EQ(version.error().code, Errc::unavailable);
  EXPECT_NE(version.error().message().find("ENOENT"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
