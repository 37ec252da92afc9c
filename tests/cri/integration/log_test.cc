// SPDX-License-Identifier: Apache-2.0
// The CRI log on disk: format, long lines, binary bytes, rotation; terminals and stdin.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <regex>
#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Log : public Node {};

TEST_F(Log, EveryLineHasTimeStreamAndTag) {
  const std::string id =
      start_script(run_pod(), "echo to out; echo to err >&2; printf 'no newline'");
  wait_exited(id);
  const std::string text = read_file(status(id).log_path());
  const std::string time = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d))";
  EXPECT_TRUE(std::regex_search(text, std::regex(time + " stdout F to out\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex(time + " stderr F to err\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex(time + " stdout [FP] no newline\n"))) << text;
}

TEST_F(Log, LongLinesArriveInPartsAndBinaryBytesUnchanged) {
  const std::string id = start_script(
      run_pod(), R"(head -c 100000 /dev/zero | tr '\0' x; echo; printf 'a\000\377\033b\n')");
  wait_exited(id);
  const std::string expected = std::string(100'000, 'x') + "\n" + std::string("a\0\xff\033b\n", 6);
  EXPECT_TRUE(stdout_of(id) == expected) << stdout_of(id).size();
  int partial = 0;
  for (const LogLine& line : log_of(id)) {
    EXPECT_LE(line.text.size(), 16u * 1024);
    partial += line.tag == "P";
  }
  EXPECT_GE(partial, 6);
}

TEST_F(Log, TwentyThousandLinesAreCompleteAndInOrder) {
  const std::string id = start_script(run_pod(), "seq 1 20000");
  wait_exited(id);
  std::string expected;
  for (int i = 1; i <= 20'000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_TRUE(stdout_of(id) == expected) << stdout_of(id).size() << " of " << expected.size();
}

TEST_F(Log, ReopenAfterRenameLosesNoLine) {
  const std::string id = start_script(
      run_pod(), "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.003; done");
  const std::string path = status(id).log_path();
  ASSERT_TRUE(wait_until([&] { return log_of(id).size() > 20; }, 10));
  ASSERT_EQ(std::rename(path.c_str(), (path + ".1").c_str()), 0);
  v1::ReopenContainerLogRequest request;
  request.set_container_id(id);
  const auto reopened = call(&Runtime::ReopenContainerLog, request);
  ASSERT_TRUE(reopened.ok()) << reopened.text();
  EXPECT_EQ(::access(path.c_str(), F_OK), 0) << "the new log exists when the call returns";
  wait_exited(id);
  const std::string both = read_file(path + ".1") + read_file(path);
  std::istringstream lines(both);
  std::string line;
  int expected = 0;
  while (std::getline(lines, line)) {
    EXPECT_EQ(line.substr(line.rfind(' ') + 1), std::to_string(++expected));
  }
  EXPECT_EQ(expected, 400);
  EXPECT_FALSE(call(&Runtime::ReopenContainerLog, request).ok()) << "it has ended";
}

TEST_F(Log, FileExistsWhenStartReturnsAndIsWhereStatusSays) {
  const v1::RunPodSandboxRequest pod = pod_request();
  const auto made = call(&Runtime::RunPodSandbox, pod);
  ASSERT_TRUE(made.ok()) << made.text();
  const std::string id =
      start(made.value.pod_sandbox_id(), {"sleep", "1000"},
            [](v1::ContainerConfig& config) { config.set_log_path("web/3.log"); });
  EXPECT_EQ(status(id).log_path(), pod.config().log_directory() + "/web/3.log");
  EXPECT_EQ(::access(status(id).log_path().c_str(), F_OK), 0);
}

TEST_F(Log, LogOfARemovedContainerStays) {
  const std::string id = start_script(run_pod(), "echo kept");
  wait_exited(id);
  const std::string path = status(id).log_path();
  ASSERT_TRUE(remove(id).ok());
  EXPECT_NE(read_file(path).find("stdout F kept"), std::string::npos);
}

TEST_F(Log, TerminalIsAControllingOneAndGoesToTheLog) {
  const std::string id = start_script(
      run_pod(), "test -t 0 && test -t 1 && test -t 2 && tty; echo tty >/dev/tty; echo $TERM",
      [](v1::ContainerConfig& config) { config.set_tty(true); });
  EXPECT_EQ(wait_exited(id).exit_code(), 0);
  const std::string text = stdout_of(id);
  EXPECT_NE(text.find("/dev/pts/0"), std::string::npos) << text;
  EXPECT_NE(text.find("xterm"), std::string::npos) << text;
  EXPECT_NE(text.find("tty\r\n"), std::string::npos) << text;
}

TEST_F(Log, WithoutStdinTheContainerReadsEndOfFileAndWithItItWaits) {
  const std::string pod = run_pod();
  EXPECT_EQ(printed(pod, "cat; echo end"), "end\n");
  for (const bool once : {false, true}) {
    const std::string open =
        start_script(pod, "echo up; cat; echo end", [once](v1::ContainerConfig& config) {
          config.set_stdin(true);
          config.set_stdin_once(once);
        });
    ASSERT_TRUE(wait_until([&] { return stdout_of(open) == "up\n"; }, 10));
    ::usleep(200'000);
    EXPECT_EQ(stdout_of(open), "up\n");
    EXPECT_EQ(status(open).state(), v1::ContainerState::CONTAINER_RUNNING);
  }
}

}  // namespace
}  // namespace berth::node_test
