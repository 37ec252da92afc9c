// SPDX-License-Identifier: Apache-2.0
// ExecSync: output, exit code, its timeout, its limit, and grandchildren that hold the pipes.
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Exec : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    pod_ = run_pod();
    id_ = start(pod_, {"sleep", "1000"});
  }

  // Processes of the container's PID namespace whose command line is exactly `words`.
  bool runs(const std::string& words) {
    const auto listed = exec(id_, "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done");
    EXPECT_TRUE(listed.ok()) << listed.text();
    return listed.value.stdout().find("\n" + words + " \n") != std::string::npos;
  }

  // Ids of the processes, as the node sees them, whose command line has a match of `pattern`, which
  // must not match itself.
  static std::string on_node(const std::string& pattern) {
    // Processes that end meanwhile are no matches, and the shell's words about them neither.
    return shell("for p in /proc/[0-9]*; do { tr '\\0' ' ' <$p/cmdline; } 2>/dev/null | grep -q '" +
                 pattern + "' && echo ${p#/proc/}; done")
        .out;
  }

  std::string pod_;
  std::string id_;
};

TEST_F(Exec, GivesBothStreamsAndTheExitCode) {
  const auto answer = exec(id_, "echo out; echo err >&2; exit 5");
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.stdout(), "out\n");
  EXPECT_EQ(answer.value.stderr(), "err\n");
  EXPECT_EQ(answer.value.exit_code(), 5);
}

TEST_F(Exec, KilledCommandGives128PlusTheSignal) {
  const auto answer = exec(id_, "kill -KILL $$");
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.exit_code(), 137);
}

TEST_F(Exec, BytesArriveUnchanged) {
  const auto answer = exec(id_, R"(printf 'a\000\377\n')");
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.stdout(), std::string("a\0\xff\n", 4));
}

TEST_F(Exec, TimeoutKillsTheCommandAndSaysDeadlineExceeded) {
  const auto answer = exec(id_, "sleep 4321", 1);
  EXPECT_EQ(answer.code(), grpc::StatusCode::DEADLINE_EXCEEDED) << answer.text();
  EXPECT_GE(answer.seconds, 0.9);
  EXPECT_LT(answer.seconds, 4);
  EXPECT_FALSE(runs("sleep 4321"));
}

TEST_F(Exec, TimeoutHoldsWhereTheContainerStopsWhateverEntersIt) {
  const std::string warden = start_script(pod_, "trap '' TERM; while :; do kill -STOP -1; done");
  // Stopped before its exec, after it, or never: none of these ends by itself.
  for (int i = 0; i < 5; ++i) {
    const auto answer = exec(warden, "sleep 4328", 1);
    EXPECT_LT(answer.seconds, 4);
    EXPECT_EQ(answer.code(), grpc::StatusCode::DEADLINE_EXCEEDED) << answer.text();
    EXPECT_TRUE(wait_until([] { return on_node("sleep 432[8]").empty(); }, 5));
  }
  EXPECT_TRUE(stop(warden).ok());
  EXPECT_TRUE(remove(warden).ok());
}

TEST_F(Exec, WithoutATimeoutTheCommandEndsWithItsClient) {
  v1::ExecSyncRequest request;
  request.set_container_id(id_);
  for (const char* word : {"sh", "-c", "sleep 4324"}) request.add_cmd(word);
  Client client(endpoint());
  const auto answer = client.call(&Runtime::ExecSync, request, 1);
  EXPECT_EQ(answer.code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(wait_until([&] { return !runs("sleep 4324"); }, 5));
}

TEST_F(Exec, TimeoutKillsWhatTheCommandStarted) {
  const auto answer = exec(id_, "sleep 4322 & sleep 4323; true", 1);
  EXPECT_EQ(answer.code(), grpc::StatusCode::DEADLINE_EXCEEDED) << answer.text();
  EXPECT_FALSE(runs("sleep 4322"));
  EXPECT_FALSE(runs("sleep 4323"));
}

TEST_F(Exec, GrandchildHoldingThePipeDoesNotHangTheCall) {
  const auto answer = exec(id_, "echo said; sleep 30 & exit 0");
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.stdout(), "said\n");
  EXPECT_LT(answer.seconds, 5);
}

// Through a client that takes as much as kubelet and crictl do: 16 MiB for the whole answer.
TEST_F(Exec, OutputBeyond16MiBIsCutToWhatClientsTakeAndTheExitCodeIsKept) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  const auto stub = v1::RuntimeService::NewStub(
      grpc::CreateCustomChannel(endpoint(), grpc::InsecureChannelCredentials(), arguments));
  const auto run = [&](const std::string& script) {
    v1::ExecSyncRequest request;
    request.set_container_id(id_);
    for (const std::string& word : {std::string("sh"), std::string("-c"), script}) {
      request.add_cmd(word);
    }
    grpc::ClientContext context;
    v1::ExecSyncResponse response;
    const grpc::Status status = stub->ExecSync(&context, request, &response);
    EXPECT_TRUE(status.ok()) << script << ": " << status.error_message();
    return response;
  };
  constexpr std::size_t kRoom = (16 << 20) - 64;
  const v1::ExecSyncResponse one = run("head -c 20000000 /dev/zero; echo end >&2; exit 4");
  EXPECT_EQ(one.stdout().size(), kRoom - 4);
  EXPECT_EQ(one.stderr(), "end\n");
  EXPECT_EQ(one.exit_code(), 4);
  const v1::ExecSyncResponse both =
      run("head -c 20000000 /dev/zero; head -c 18000000 /dev/zero >&2; exit 5");
  EXPECT_EQ(both.stdout().size(), kRoom / 2);
  EXPECT_EQ(both.stderr().size(), kRoom / 2);
  EXPECT_EQ(both.exit_code(), 5);
  const v1::ExecSyncResponse other =
      run("head -c 3000000 /dev/zero; head -c 18000000 /dev/zero >&2; exit 255");
  EXPECT_EQ(other.stdout().size(), 3'000'000u);
  EXPECT_EQ(other.stderr().size(), kRoom - 3'000'000);
  EXPECT_EQ(other.exit_code(), 255);
  EXPECT_EQ(run("head -c 10000000 /dev/zero").stdout().size(), 10'000'000u);
}

TEST_F(Exec, RunsInTheContainersNamespacesWithItsEnvironmentAndLimits) {
  const std::string id = start(pod_, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    v1::KeyValue* variable = config.add_envs();
    variable->set_key("MINE");
    variable->set_value("of the request");
  });
  for (const char* kind : {"net", "ipc", "uts", "pid", "mnt", "cgroup"}) {
    const std::string name = std::string("/ns/") + kind;
    const std::string first =
        std::filesystem::read_symlink("/proc/" + std::to_string(pid_of(id)) + name).string();
    EXPECT_EQ(exec(id, "readlink /proc/self" + name).value.stdout(), first + "\n");
  }
  EXPECT_EQ(exec(id, "echo $MINE").value.stdout(), "of the request\n");
  // As the container's first process, which is process 1 there.
  const auto as_first = [&](const std::string& command, const std::string& file) {
    const std::string own = exec(id, command + " /proc/self/" + file).value.stdout();
    EXPECT_NE(own, "");
    EXPECT_EQ(own, exec(id, command + " /proc/1/" + file).value.stdout());
  };
  as_first("grep -E 'Seccomp:|NoNewPrivs|CapEff|CapBnd'", "status");
  as_first("cat", "limits");
  as_first("cat", "oom_score_adj");
}

TEST_F(Exec, IsInTheContainersCgroupOfEveryHierarchy) {
  const auto answer = exec(id_, "cat /proc/self/cgroup; echo; cat /proc/1/cgroup");
  ASSERT_TRUE(answer.ok()) << answer.text();
  const std::string& text = answer.value.stdout();
  const std::size_t middle = text.find("\n\n");
  ASSERT_NE(middle, std::string::npos) << text;
  EXPECT_EQ(text.substr(0, middle + 1), text.substr(middle + 2));
  // Seen from outside, so that a cgroup namespace cannot make two groups look like one.
  std::thread caller([this] { exec(id_, "exec sleep 4326"); });
  std::string pid;
  const auto appears = [&pid] {
    pid = on_node("^sleep 432[6]");
    pid = pid.substr(0, pid.find('\n'));
    return !pid.empty();
  };
  EXPECT_TRUE(wait_until(appears, 5));
  const std::string own = read_file("/proc/" + std::to_string(pid_of(id_)) + "/cgroup");
  EXPECT_NE(own.find(id_), std::string::npos) << own;
  EXPECT_EQ(read_file("/proc/" + pid + "/cgroup"), own);
  EXPECT_TRUE(stop(id_).ok());
  caller.join();
}

TEST_F(Exec, IsTheContainersUserWithItsGroupsUmaskAndNoNewPrivileges) {
  const std::string restricted = start(pod_, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    auto* security = config.mutable_linux()->mutable_security_context();
    security->mutable_run_as_user()->set_value(1000);
    security->mutable_run_as_group()->set_value(7);
    for (const int group : {99, 4242}) security->add_supplemental_groups(group);
    security->set_no_new_privs(true);
  });
  const std::string lines = "grep -E '^(Umask|Uid|Gid|Groups|NoNewPrivs):' /proc/self/status";
  const auto answer = exec(restricted, lines);
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.stdout(),
            "Umask:\t0022\nUid:\t1000\t1000\t1000\t1000\nGid:\t7\t7\t7\t7\n"
            "Groups:\t7 99 4242 \nNoNewPrivs:\t1\n");
  EXPECT_EQ(exec(id_, "grep NoNewPrivs /proc/self/status; umask").value.stdout(),
            "NoNewPrivs:\t0\n0022\n")
      << "where the container may gain privileges, its exec may";
}

TEST_F(Exec, CommandThatDoesNotExistIsAnErrorWithItsName) {
  v1::ExecSyncRequest request;
  request.set_container_id(id_);
  request.add_cmd("/no/such/program");
  const auto answer = call(&Runtime::ExecSync, request);
  EXPECT_FALSE(answer.ok());
  EXPECT_NE(answer.text().find("/no/such/program"), std::string::npos) << answer.text();
  EXPECT_NE(answer.text().find("ENOENT"), std::string::npos) << answer.text();
}

TEST_F(Exec, ContainerThatDoesNotRunIsRefused) {
  ASSERT_TRUE(stop(id_).ok());
  EXPECT_EQ(exec(id_, "true").code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Exec, ManyAtOnceGetTheirOwnOutput) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([this, i] {
      for (int round = 0; round < 5; ++round) {
        const std::string word = std::to_string(i) + "." + std::to_string(round);
        const auto answer = exec(id_, "echo " + word);
        EXPECT_EQ(answer.value.stdout(), word + "\n") << answer.text();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_F(Exec, ContainerThatEndsMeanwhileEndsTheCall) {
  std::thread stopper([this] {
    EXPECT_TRUE(wait_until([] { return !on_node("^sleep 432[7]").empty(); }, 5));
    Client other(endpoint());
    v1::StopContainerRequest request;
    request.set_container_id(id_);
    EXPECT_TRUE(other.call(&Runtime::StopContainer, request).ok());
  });
  const auto answer = exec(id_, "exec sleep 4327");
  stopper.join();
  EXPECT_LT(answer.seconds, 10);
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.exit_code(), 137);
}

}  // namespace
}  // namespace berth::node_test
