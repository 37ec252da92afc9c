// SPDX-License-Identifier: Apache-2.0
// One damaged record costs what it stands for and nothing else: the process, the pod's init, the
// snapshot, the cgroups, the namespaces and the files of what nobody knows any more go with it.
#include <signal.h>

#include <fstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Orphans : public Node {
 protected:
  // Kills berthd, breaks every record that holds `mark`, and starts it again. LMDB keeps old pages
  // around, so there may be several copies.
  static void restart_with_damaged(const std::string& mark) {
    kill_berthd();
    const std::string path = dir("BERTH_STATE") + "/berth/state/data.mdb";
    std::string bytes = read_file(path);
    int hits = 0;
    for (std::size_t at = 0; (at = bytes.find(mark, at)) != std::string::npos; ++hits) {
      bytes[at] = '!';
    }
    ASSERT_GT(hits, 0) << "no record holds " << mark;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    ASSERT_TRUE(start_berthd());
  }
  static void share_pids(v1::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  }
  static ContainerTweak marked(const std::string& mark) {
    return [mark](v1::ContainerConfig& config) {
      (*config.mutable_labels())["mark"] = mark;
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
          v1::NamespaceMode::POD);
    };
  }
  static void expect_mended(const std::string& what) {
    EXPECT_NE(berthd_log().find(what), std::string::npos) << what;
  }
  static bool ends(pid_t pid) {
    return wait_until([pid] { return ::kill(pid, 0) != 0; }, 10);
  }
  static std::string cgroups_of(const std::string& id) {
    return shell("find /sys/fs/cgroup -type d -path '*" + id + "*'").out;
  }
};

TEST_F(Orphans, OfAContainersRecordEndAndItsPodGoesOn) {
  const std::string pod = run_pod(share_pids);
  const std::string lost = start(pod, {"sleep", "1000"}, marked("DAMAGE-THIS-CONTAINER"));
  const std::string kept = start(pod, {"sleep", "1000"}, marked("keep"));
  const pid_t lost_pid = pid_of(lost);
  ASSERT_NE(cgroups_of(lost), "");
  restart_with_damaged("DAMAGE-THIS-CONTAINER");
  EXPECT_TRUE(ends(lost_pid));
  EXPECT_TRUE(wait_until([&] { return cgroups_of(lost).empty(); }, 10)) << cgroups_of(lost);
  const auto listed = call(&Runtime::ListContainers, v1::ListContainersRequest());
  ASSERT_EQ(listed.value.containers_size(), 1);
  EXPECT_EQ(listed.value.containers(0).id(), kept);
  EXPECT_EQ(exec(kept, "echo on").value.stdout(), "on\n");
  expect_mended("process " + lost + " belonged to no container");
  expect_mended("snapshot " + lost + " belonged to no container");
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_READY);
}

TEST_F(Orphans, OfASandboxesRecordEndWithItThoughNobodyRemovesThem) {
  const std::string pod = run_pod([](v1::PodSandboxConfig& config) {
    share_pids(config);
    (*config.mutable_labels())["mark"] = "DAMAGE-THIS-SANDBOX";
  });
  const std::string one = start(pod, {"sleep", "1000"}, marked("one"));
  const pid_t pid = pid_of(one);
  const std::string created = create(pod, {"true"}, marked("two"));
  ASSERT_NE(created, "");
  restart_with_damaged("DAMAGE-THIS-SANDBOX");
  EXPECT_TRUE(ends(pid));
  EXPECT_EQ(call(&Runtime::ListContainers, v1::ListContainersRequest()).value.containers_size(), 0);
  EXPECT_EQ(call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest()).value.items_size(), 0);
  // Its cgroup's end would take it along; this is the orderly way.
  expect_mended("init " + pod + ".init belonged to no sandbox");
  EXPECT_EQ(leftovers(), "");
  EXPECT_EQ(printed(run_pod(share_pids), "echo on", marked("new")), "on\n");
}

}  // namespace
}  // namespace berth::node_test
