// SPDX-License-Identifier: Apache-2.0
// Records of a node that were damaged while the agent was away, and processes that nobody watched:
// whatever has lost its record is ended and removed, of every kind, at the next start, and what has
// a record is left alone.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/store/state.h"
#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

namespace fs = std::filesystem;

class Orphan : public Node {
 protected:
  void TearDown() override {
    Node::TearDown();
    // The last process of a group is reaped a moment after its end is told.
    for (const std::string& group : groups_) {
      EXPECT_TRUE(wait_until([&group] { return ::rmdir(group.c_str()) == 0; }, 5)) << group;
    }
  }

  // As the kubelet's pod with shareProcessNamespace.
  static void share_pid(v1::NamespaceOption* options) { options->set_pid(v1::NamespaceMode::POD); }
  std::string run_shared_pid_pod() {
    return run_pod([](v1::PodSandboxConfig& config) {
      share_pid(config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
    });
  }
  static void share_pid_of_pod(v1::ContainerConfig& config) {
    share_pid(config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
  }

  // berthd must be away: it alone may have the store open. The key is there and its checksum is
  // right, so what is found damaged is the record's layout.
  static void damage_record(std::string_view table, const std::string& id) {
    Result<store::State> state = store::State::open(dir("BERTH_STATE") + "/berth/state", {});
    ASSERT_TRUE(state.ok()) << state.error().message();
    const Result<std::optional<std::string>> before = state->get({table, 1}, id);
    ASSERT_TRUE(before.ok() && before->has_value()) << "no record of " << id;
    ASSERT_TRUE(state->put({table, 99}, id, "of another version").ok());
  }

  static bool lives(pid_t pid) {
    const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat.empty() && stat.find(") Z ") == std::string::npos;
  }
  static bool ends(pid_t pid) {
    return wait_until([pid] { return !lives(pid); }, 10);
  }
  // The process that is number 1 in the PID namespace of `pid`.
  static pid_t init_of(pid_t pid) {
    const auto space = [](const std::string& of) {
      std::error_code gone;
      return fs::read_symlink("/proc/" + of + "/ns/pid", gone).string();
    };
    const std::string wanted = space(std::to_string(pid));
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
      const std::string candidate = entry.path().filename();
      if (space(candidate) != wanted) continue;
      std::istringstream lines(read_file(entry.path() / "status"));
      for (std::string line; std::getline(lines, line);) {
        if (line.rfind("NSpid:", 0) == 0 && line.ends_with("\t1"))
          return std::atoi(candidate.c_str());
      }
    }
    return -1;
  }
  // The first process whose command line is `words`, as the node sees it; -1.
  static pid_t process_of(const std::string& words) {
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
      std::string line = read_file(entry.path() / "cmdline");
      for (char& c : line) c = c == '\0' ? ' ' : c;
      if (line == words + " ") return std::atoi(entry.path().filename().c_str());
    }
    return -1;
  }

  // Out of every group below the agent's, to one beside it in each hierarchy that takes it.
  void move_out_of_its_cgroups(pid_t pid) {
    std::istringstream mounts(shell("awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts").out);
    std::string mount;
    while (std::getline(mounts, mount)) {
      const std::string group = mount + "/" + dir("BERTH_CGROUP") + ".moved";
      if (::mkdir(group.c_str(), 0755) == 0) groups_.push_back(group);
      // A cpuset takes no process before it has both.
      for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
        if (fs::exists(group + file)) std::ofstream(group + file) << read_file(mount + file);
      }
      std::ofstream(group + "/cgroup.procs") << pid << std::flush;
    }
    const std::string groups = read_file("/proc/" + std::to_string(pid) + "/cgroup");
    EXPECT_EQ(groups.find(dir("BERTH_CGROUP") + "/"), std::string::npos) << groups;
  }

  // What was remembered holds pods of the test: without them there is less, and nothing more.
  static void expect_nothing_more_without_pods() {
    remove_all_pods();
    EXPECT_TRUE(wait_until([] { return leftovers(0).find("more:") == std::string::npos; }, 10))
        << leftovers(0);
    remember_holdings();
  }

  // A second start has nothing left to mend.
  static void expect_settled() {
    kill_berthd();
    ASSERT_TRUE(start_berthd());
    const std::string log = berthd_log();
    const std::string last = log.substr(log.rfind("reconcile: pods="));
    EXPECT_NE(last.find("mended=0 failed=0"), std::string::npos) << last.substr(0, 200);
  }

 private:
  std::vector<std::string> groups_;
};

TEST_F(Orphan, ContainerWhoseRecordIsDamagedIsEndedAndNothingOfItStays) {
  const std::string pod = run_pod();
  const std::string kept = start(pod, {"sleep", "4331"});
  const pid_t kept_pid = pid_of(kept);
  remember_holdings();
  const std::string lost = start(pod, {"sleep", "4332"});
  const std::string unstarted = create(pod, {"sleep", "4333"});
  const pid_t lost_pid = pid_of(lost);
  kill_berthd();
  damage_record("containers", lost);
  damage_record("containers", unstarted);
  ASSERT_TRUE(start_berthd());
  EXPECT_TRUE(ends(lost_pid));
  EXPECT_EQ(pid_of(kept), kept_pid);
  EXPECT_TRUE(lives(kept_pid));
  EXPECT_EQ(leftovers(), "") << "cgroup, snapshot or process of a container without a record";
  expect_settled();
  const auto left = call(&Runtime::ListContainers, v1::ListContainersRequest());
  ASSERT_EQ(left.value.containers_size(), 1);
  EXPECT_EQ(left.value.containers(0).id(), kept);
  EXPECT_EQ(printed(pod, "echo on"), "on\n");
  expect_nothing_more_without_pods();
}

// A process that may move itself leaves the cgroup that would be killed.
TEST_F(Orphan, ProcessThatLeftItsCgroupsIsEndedToo) {
  const std::string pod = run_pod();
  const std::string lost = start(pod, {"sleep", "4334"});
  const pid_t pid = pid_of(lost);
  move_out_of_its_cgroups(pid);
  kill_berthd();
  damage_record("containers", lost);
  ASSERT_TRUE(start_berthd());
  EXPECT_TRUE(ends(pid));
  expect_settled();
}

TEST_F(Orphan, InitThatIsNotInItsCgroupsIsEndedWithItsPod) {
  const std::string pod = run_shared_pid_pod();
  const std::string id = start(pod, {"sleep", "4339"}, share_pid_of_pod);
  const pid_t pid = pid_of(id);
  const pid_t init = init_of(pid);
  ASSERT_GT(init, 1);
  move_out_of_its_cgroups(init);
  kill_berthd();
  damage_record("sandboxes", pod);
  ASSERT_TRUE(start_berthd());
  EXPECT_TRUE(ends(init));
  EXPECT_TRUE(ends(pid));
  expect_settled();
}

TEST_F(Orphan, PodWhoseRecordIsDamagedLeavesNoInitNoNamespacesAndNoFiles) {
  const std::string other = run_pod();
  remember_holdings();
  const std::string pod = run_shared_pid_pod();
  const std::string id = start(pod, {"sleep", "4335"}, share_pid_of_pod);
  const pid_t pid = pid_of(id);
  kill_berthd();
  damage_record("sandboxes", pod);
  ASSERT_TRUE(start_berthd());
  EXPECT_TRUE(ends(pid));
  EXPECT_EQ(leftovers(), "") << "of a pod without a record";
  EXPECT_EQ(pod_status(other).state(), v1::PodSandboxState::SANDBOX_READY);
  // The keeper's own memory of it, too: an init, namespaces, the container.
  expect_settled();
  expect_nothing_more_without_pods();
}

// Both programs die, and then the container's first process: nobody can have seen its end. What it
// started goes on in the pod's PID namespace and would hold the container's ports for ever.
TEST_F(Orphan, ContainerThatEndedUnseenTakesItsOtherProcessesWithIt) {
  const std::string pod = run_shared_pid_pod();
  const std::string id = start_script(pod, "sleep 4336 & echo up; sleep 4337", share_pid_of_pod);
  const std::string sibling = start(pod, {"sleep", "4338"}, share_pid_of_pod);
  const pid_t sibling_pid = pid_of(sibling);
  ASSERT_TRUE(wait_until([&] { return process_of("sleep 4336") > 1; }, 5));
  const pid_t first = pid_of(id);
  const pid_t rest = process_of("sleep 4336");
  const pid_t keeper = keeper_pid();
  kill_berthd();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(ends(keeper));
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  // Reaped by the pod's init: nobody can ask for its exit code any more.
  ASSERT_TRUE(wait_until([first] { return ::kill(first, 0) != 0; }, 10));
  ASSERT_TRUE(lives(rest)) << "the test is about what outlives the first process";
  ASSERT_TRUE(start_berthd());
  const v1::ContainerStatus ended = wait_exited(id);
  EXPECT_EQ(ended.reason(), "ExitCodeUnknown");
  EXPECT_EQ(ended.exit_code(), 255);
  EXPECT_NE(ended.message(), "");
  EXPECT_TRUE(ends(rest));
  EXPECT_EQ(pid_of(sibling), sibling_pid);
  EXPECT_TRUE(lives(sibling_pid));
}

// The table is what a new keeper knows of its predecessor's processes. A pod of the node's own
// namespaces has none that it could lose, so it goes on, and its container may not.
TEST_F(Orphan, ContainerThatNoKeeperKnowsOfAnyMoreIsEndedInAPodThatGoesOn) {
  const auto of_the_node = [](v1::NamespaceOption* options) {
    options->set_network(v1::NamespaceMode::NODE);
    options->set_ipc(v1::NamespaceMode::NODE);
  };
  const std::string pod = run_pod([&](v1::PodSandboxConfig& config) {
    of_the_node(config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
    config.clear_hostname();
  });
  const auto of_container = [&](v1::ContainerConfig& config) {
    of_the_node(config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
  };
  const std::string id = start(pod, {"sleep", "4340"}, of_container);
  const pid_t pid = pid_of(id);
  const pid_t keeper = keeper_pid();
  kill_berthd();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(ends(keeper));
  ASSERT_TRUE(fs::remove(dir("BERTH_STATE") + "/berth/keeper.table"));
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(wait_exited(id).reason(), "ExitCodeUnknown");
  EXPECT_TRUE(ends(pid));
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_READY);
  EXPECT_EQ(printed(pod, "echo on", of_container), "on\n");
  expect_settled();
}

}  // namespace
}  // namespace berth::node_test
