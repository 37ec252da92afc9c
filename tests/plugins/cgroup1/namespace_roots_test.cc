// SPDX-License-Identifier: Apache-2.0
// Claims: every container is below the agent's parent cgroup in every hierarchy, so its cgroup
// namespace shows nothing of the machine's root; groups that containers make in shared groups are
// removed.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <set>

#include "plugins/cgroup1/device_groups.h"
#include "plugins/resources/namespace_roots.h"
#include "tests/plugins/cgroup1/fixture.h"

namespace berth::plugins {
namespace {

namespace fs = std::filesystem;

class NamespaceRootsTest : public Cgroup1Test {
 protected:
  Placement prepare(const std::string& id, CgroupReach reach) {
    EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
    return MUST(run(plugin_->prepare(
        {.pod_id = "p", .container_id = id, .resources = {}, .reach = reach, .devices = {}})));
  }
  // The process's group in each hierarchy, relative to the agent's parent: "default",
  // "guarded/berth-p.c".
  std::map<std::string, std::string> places(pid_t pid) const {
    std::map<std::string, std::string> places;
    for (const auto& [hierarchy, group] : groups_of(pid)) {
      const std::string top = "/" + sandbox_->parent() + "/";
      EXPECT_TRUE(group.find(top) != std::string::npos) << hierarchy << " " << group;
      places[hierarchy] = group.substr(std::min(group.size(), group.find(top) + top.size()));
    }
    return places;
  }
  // The hierarchies in which the process is in a shared group.
  std::set<std::string> shared_by(pid_t pid) const {
    std::set<std::string> shared;
    for (const auto& [hierarchy, place] : places(pid)) {
      if (place == "default") shared.insert(hierarchy);
    }
    return shared;
  }
};

TEST_F(NamespaceRootsTest, ProcessIsOnlyInSharedGroupsThatContainersCannotMisuse) {
  const PlacedProcess confined(prepare("none", CgroupReach::none));
  const PlacedProcess free(prepare("user", CgroupReach::user_namespace));
  const PlacedProcess admin(prepare("admin", CgroupReach::administrator));
  std::set<std::string> all;
  for (const auto& [hierarchy, place] : places(confined.pid())) all.insert(hierarchy);
  const std::set<std::string> always{"", "cpu", "memory", "pids"};
  std::set<std::string> rest = all;
  for (const std::string& hierarchy : always) rest.erase(hierarchy);
  EXPECT_EQ(shared_by(confined.pid()), rest);
  // Writing the files of devices needs CAP_SYS_ADMIN on the machine; the other hierarchies have no
  // effect.
  for (const std::string& hierarchy : shared_by(free.pid())) {
    const bool labelled = sandbox_->at(hierarchy, "") != "" && hierarchy == "systemd";
    EXPECT_TRUE(hierarchy == "devices" || hierarchy == "cpuacct" || labelled) << hierarchy;
  }
  EXPECT_EQ(shared_by(admin.pid()), std::set<std::string>{});
  if (all.contains("devices")) {
    EXPECT_EQ(places(admin.pid())["devices"], "guarded/berth-p.admin");
  }
  // A further process is placed in the groups of the container.
  for (const auto& [id, first] :
       {std::pair{"none", &confined}, {"user", &free}, {"admin", &admin}}) {
    const PlacedProcess exec(MUST(run(plugin_->placement("p", id))));
    EXPECT_EQ(groups_of(exec.pid()), groups_of(first->pid())) << id;
  }
}

TEST_F(NamespaceRootsTest, InitOfThePodSharesNoGroup) {
  EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  const PlacedProcess init(MUST(run(plugin_->pod_placement("p"))));
  EXPECT_EQ(shared_by(init.pid()), std::set<std::string>{});
}

// Mounts every v1 hierarchy in new mount and cgroup namespaces. 0: none shows a file of the
// machine's root.
int mount_and_look(const std::vector<CgroupMount>& mounts) {
  if (::unshare(CLONE_NEWCGROUP | CLONE_NEWNS) != 0) return 1;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 2;
  if (::mount("none", "/mnt", "tmpfs", 0, nullptr) != 0) return 3;
  for (const auto& [hierarchy, group] : groups_of(::getpid())) {
    if (group != "/") return 4;
  }
  for (const CgroupMount& mount : mounts) {
    if (mount.version != CgroupVersion::v1) continue;
    const std::string name = mount.controllers.empty() ? mount.label : mount.controllers.front();
    const std::string options = mount.controllers.empty() ? "none,name=" + name : name;
    const std::string at = "/mnt/" + name;
    if (::mkdir(at.c_str(), 0755) != 0) return 5;
    if (::mount("none", at.c_str(), "cgroup", 0, options.c_str()) != 0) return 6;
    if (!fs::exists(at + "/tasks")) return 7;
    // KERNEL: only the root of a hierarchy has these files, and a mount in a cgroup namespace shows
    // the root of the namespace.
    if (fs::exists(at + "/release_agent") || fs::exists(at + "/cgroup.sane_behavior")) return 8;
  }
  return 0;
}

TEST_F(NamespaceRootsTest, NoMountedHierarchyShowsReleaseAgent) {
  for (const CgroupReach reach : {CgroupReach::none, CgroupReach::administrator}) {
    PlacedProcess process(prepare("c", reach),
                          [this] { return mount_and_look(sandbox_->mounts()); });
    const int status = process.wait();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  }
}

TEST_F(NamespaceRootsTest, GuardedGroupCannotBeGivenMoreDevices) {
  if (sandbox_->at("devices", "").empty()) GTEST_SKIP() << "no v1 devices controller";
  prepare("c", CgroupReach::administrator);
  const std::string group = sandbox_->at("devices", sandbox_->parent() + "/guarded/berth-p.c");
  EXPECT_EQ(sandbox_->read("devices", sandbox_->parent() + "/guarded/berth-p.c/devices.list"),
            sandbox_->read("devices", sandbox_->parent() + "/default/devices.list"));
  const int fd = ::open((group + "/devices.allow").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(::write(fd, "c 1:11 rwm", 10), -1);
  EXPECT_EQ(errno, EPERM);
  ::close(fd);
}

// KERNEL: with cgroup.clone_children above, a new cpuset has its parent's CPUs.
TEST_F(NamespaceRootsTest, CpusetOfItsOwnHasTheCpusOfTheParent) {
  if (sandbox_->at("cpuset", "").empty()) GTEST_SKIP() << "no v1 cpuset controller";
  const PlacedProcess process(prepare("c", CgroupReach::user_namespace));
  EXPECT_EQ(sandbox_->read("cpuset", flat("p", "c") + "/cpuset.cpus"),
            sandbox_->read("cpuset", "cpuset.cpus"));
  const std::string made = sandbox_->at("cpuset", sandbox_->parent() + "/made");
  ASSERT_TRUE(fs::create_directory(made));
  EXPECT_EQ(sandbox_->read("cpuset", sandbox_->parent() + "/made/cpuset.cpus"),
            sandbox_->read("cpuset", "cpuset.cpus"));
}

TEST_F(NamespaceRootsTest, GroupsThatContainersMadeInSharedOnesAreRemovedWithTheContainer) {
  const Placement placed = prepare("c", CgroupReach::none);
  const std::vector<std::string> before = sandbox_->snapshot();
  const std::string shared = sandbox_->parent() + "/default";
  for (const char* hierarchy : {"devices", "freezer", "systemd"}) {
    if (sandbox_->at(hierarchy, "").empty()) continue;
    fs::create_directories(sandbox_->at(hierarchy, shared + "/stray/below"));
    fs::create_directories(sandbox_->at(hierarchy, shared + "/berth-p.c"));
    // A group of a running container, which must remain.
    fs::create_directories(sandbox_->at(hierarchy, shared + "/used/inner"));
  }
  PlacedProcess living(placed, [] {
    ::pause();
    return 0;
  });
  for (const char* hierarchy : {"devices", "freezer", "systemd"}) {
    if (sandbox_->at(hierarchy, "").empty()) continue;
    std::ofstream(sandbox_->at(hierarchy, shared + "/used/inner/tasks")) << living.pid();
  }
  ASSERT_TRUE(run(plugin_->cleanup("other", "c")).ok());
  for (const char* hierarchy : {"devices", "freezer", "systemd"}) {
    if (sandbox_->at(hierarchy, "").empty()) continue;
    EXPECT_TRUE(sandbox_->exists(hierarchy, shared + "/used/inner")) << hierarchy;
    EXPECT_FALSE(sandbox_->exists(hierarchy, shared + "/stray")) << hierarchy;
    EXPECT_FALSE(sandbox_->exists(hierarchy, shared + "/berth-p.c")) << hierarchy;
  }
  ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
  living.wait();
  ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  for (const std::string& group : sandbox_->snapshot()) {
    EXPECT_EQ(group.find("/default/"), std::string::npos) << group;
  }
}

TEST_F(NamespaceRootsTest, RecoverSweepsSharedAndGuardedGroups) {
  const std::vector<std::string> before = sandbox_->snapshot();
  prepare("c", CgroupReach::administrator);
  for (const char* hierarchy : {"devices", "freezer"}) {
    if (sandbox_->at(hierarchy, "").empty()) continue;
    fs::create_directories(sandbox_->at(hierarchy, sandbox_->parent() + "/default/stray/below"));
  }
  plugin_ = make_plugin();
  ASSERT_TRUE(run(plugin_->recover({})).ok());
  EXPECT_EQ(sandbox_->snapshot(), before);
}

// SIGKILL has no effect on a frozen process.
TEST_F(NamespaceRootsTest, ContainerThatStoppedItselfByTheFreezerIsKilled) {
  if (sandbox_->at("freezer", "").empty()) GTEST_SKIP() << "no v1 freezer";
  for (const bool by_recover : {false, true}) {
    PlacedProcess process(prepare("c", CgroupReach::user_namespace));
    const std::string inner = sandbox_->at("freezer", flat("p", "c") + "/a/b");
    fs::create_directories(inner);
    std::ofstream(inner + "/tasks") << process.pid();
    for (const char* group : {"/a/b", "/a", ""}) {
      std::ofstream(sandbox_->at("freezer", flat("p", "c") + group + "/freezer.state")) << "FROZEN";
    }
    const std::string state = flat("p", "c") + "/a/b/freezer.state";
    for (int i = 0; i < 1000 && sandbox_->read("freezer", state) != "FROZEN"; ++i) ::usleep(5000);
    EXPECT_EQ(sandbox_->read("freezer", state), "FROZEN");
    if (by_recover) {
      ASSERT_TRUE(run(plugin_->recover({})).ok());
    } else {
      ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
    }
    EXPECT_TRUE(WIFSIGNALED(process.wait()));
    ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  }
}

// The depth exceeds the descriptor limit of the process.
TEST_F(NamespaceRootsTest, HoweverDeepAContainersGroupsAreTheyAreRemoved) {
  prepare("c", CgroupReach::user_namespace);
  const std::string hierarchy = sandbox_->at("freezer", "").empty() ? "memory" : "freezer";
  constexpr int kDepth = 400;
  int at = ::open(sandbox_->at(hierarchy, flat("p", "c")).c_str(), O_RDONLY | O_CLOEXEC);
  for (int depth = 0; depth < kDepth; ++depth) {
    ASSERT_EQ(::mkdirat(at, "d", 0755), 0);
    ASSERT_EQ(::mkdirat(at, "e", 0755), 0);
    const int below = ::openat(at, "d", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(below, 0);
    ::close(std::exchange(at, below));
  }
  ::close(at);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto removed = run(plugin_->cleanup("p", "c"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(removed.ok()) << removed.error().message();
  EXPECT_FALSE(sandbox_->exists(hierarchy, flat("p", "c")));
}

TEST_F(NamespaceRootsTest, HierarchyThatCannotBeWrittenIsReportedOnceAndFailsNoContainer) {
  NamespaceRoots roots(sandbox_->parent());
  // A directory in which mkdir fails, instead of a read-only mount.
  roots.add({.mount_point = "/proc/self", .version = CgroupVersion::v1, .controllers = {"novel"}});
  roots.add({.mount_point = "/nowhere", .version = CgroupVersion::v1, .label = "gone"});
  const std::vector<std::string> faults = roots.make_shared();
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_NE(faults[0].find("hierarchy `self`"), std::string::npos) << faults[0];
  EXPECT_NE(faults[1].find("hierarchy `nowhere`"), std::string::npos) << faults[1];
  EXPECT_TRUE(roots.make({"p", "c"}, CgroupReach::administrator, {}).ok());
  std::vector<UniqueFd> tasks;
  EXPECT_TRUE(roots.place({"p", "c"}, {}, tasks).ok());
  EXPECT_TRUE(tasks.empty());
  EXPECT_TRUE(roots.remove({"p", "c"}).ok());
}

TEST_F(NamespaceRootsTest, HierarchyThatIsMountedNowhereIsUsed) {
  if (sandbox_->at("freezer", "").empty()) GTEST_SKIP() << "no v1 freezer";
  NamespaceRoots roots(sandbox_->parent());
  roots.add({.version = CgroupVersion::v1, .controllers = {"freezer"}});
  const std::vector<std::string> faults = roots.make_shared();
  ASSERT_TRUE(faults.empty()) << faults.front();
  ASSERT_TRUE(roots.make({"p", "c"}, CgroupReach::administrator, {}).ok());
  EXPECT_TRUE(sandbox_->exists("freezer", flat("p", "c")));
  Placement placement;
  ASSERT_TRUE(roots.place({"p", "c"}, {}, placement.v1_tasks).ok());
  const PlacedProcess process(placement);
  EXPECT_TRUE(groups_of(process.pid())["freezer"].ends_with(flat("p", "c")));
}

// berth made such containers until 2026-11, without groups in the freezer and similar hierarchies.
TEST_F(NamespaceRootsTest, ContainerOfAnOlderAgentIsLeftWhereItIs) {
  Placement old;
  for (const char* controller : {"cpu", "memory", "pids"}) {
    const std::string group = sandbox_->at(controller, flat("p", "c"));
    fs::create_directories(group);
    old.v1_tasks.emplace_back(::open((group + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
  }
  fs::create_directories(sandbox_->at("", nested("p", "c")));
  old.cgroup.reset(
      ::open(sandbox_->at("", nested("p", "c")).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  PlacedProcess process(old);
  ASSERT_TRUE(process.placed());
  const auto before = groups_of(process.pid());
  plugin_ = make_plugin();
  ASSERT_TRUE(run(plugin_->recover({{.pod_id = "p", .container_ids = {"c"}}})).ok());
  EXPECT_EQ(groups_of(process.pid()), before);
  auto exec_placement = run(plugin_->placement("p", "c"));
  ASSERT_TRUE(exec_placement.ok()) << exec_placement.error().message();
  {
    const PlacedProcess exec(*exec_placement);
    auto groups = groups_of(exec.pid());
    for (const char* hierarchy : {"", "cpu", "memory", "pids"}) {
      EXPECT_EQ(groups[hierarchy], before.at(hierarchy)) << hierarchy;
    }
    static_cast<void>(places(exec.pid()));
  }
  ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
  EXPECT_TRUE(WIFSIGNALED(process.wait()));
  ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  EXPECT_FALSE(sandbox_->exists("", sandbox_->parent() + "/berth-p"));
}

}  // namespace
}  // namespace berth::plugins
