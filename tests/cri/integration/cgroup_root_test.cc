// SPDX-License-Identifier: Apache-2.0
// What a container that may mount cgroup v1 finds: in every hierarchy a group of its pod's, or one
// that is nobody's and harmless, and never the machine's root with its release_agent.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

namespace fs = std::filesystem;

// Mounts each hierarchy that there is and tells of its root, a line each:
// "seen NAMES INODE GROUP" and "found NAMES FILE" for what only the machine's root has.
constexpr const char* kLook = R"(
mkdir -p /mnt
mount -t tmpfs none /mnt || echo "failed tmpfs"
while IFS=: read -r id names group; do
  [ -n "$names" ] || continue
  case $names in name=*) options=none,$names ;; *) options=$names ;; esac
  mkdir "/mnt/$id"
  mount -t cgroup -o "$options" none "/mnt/$id" || echo "failed $names"
  echo "seen $names $(stat -c %i "/mnt/$id") $group"
  for file in release_agent cgroup.sane_behavior "$MARKER"; do
    [ ! -e "/mnt/$id/$file" ] || echo "found $names $file"
  done
done </proc/self/cgroup
)";

struct Seen {
  std::map<std::string, std::uint64_t> roots;  // inodes by hierarchy
  std::string wrong;                           // lines that must not be there
};

class CgroupRoot : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    if (host_roots().empty()) GTEST_SKIP() << "no cgroup v1 hierarchy is mounted";
  }

  // Mount points of the v1 hierarchies, by what /proc/self/cgroup calls them.
  static std::map<std::string, std::string> host_roots() {
    std::map<std::string, std::string> roots;
    std::istringstream lines(read_file("/proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);) {
      const std::size_t first = line.find(':');
      const std::string names = line.substr(first + 1, line.rfind(':') - first - 1);
      std::istringstream mounts(read_file("/proc/self/mounts"));
      for (std::string mount; std::getline(mounts, mount);) {
        std::istringstream words(mount);
        std::string source, target, type, options;
        words >> source >> target >> type >> options;
        const bool has = ("," + options + ",").find("," + names + ",") != std::string::npos;
        if (!names.empty() && type == "cgroup" && has) roots[names] = target;
      }
    }
    return roots;
  }
  static std::uint64_t inode(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  static void unconfined(v1::ContainerConfig& config) {
    v1::LinuxContainerSecurityContext* security =
        config.mutable_linux()->mutable_security_context();
    security->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Unconfined);
    v1::KeyValue* marker = config.add_envs();
    marker->set_key("MARKER");
    marker->set_value(dir("BERTH_CGROUP"));
    // util-linux knows more namespaces than busybox.
    for (const auto& [host, inside] :
         {std::pair{"/usr", "/usr"}, {"/usr/lib", "/lib"}, {"/usr/lib64", "/lib64"}}) {
      v1::Mount* mount = config.add_mounts();
      mount->set_host_path(host);
      mount->set_container_path(inside);
      mount->set_readonly(true);
    }
  }
  static void administrator(v1::ContainerConfig& config) {
    unconfined(config);
    config.mutable_linux()
        ->mutable_security_context()
        ->mutable_capabilities()
        ->add_add_capabilities("SYS_ADMIN");
  }
  static void share_pid(v1::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  }
  static std::string in_user_namespace(const std::string& script) {
    return "cat >/look <<'END'\n" + script +
           "\nEND\n/usr/bin/unshare --user --map-root-user --mount --cgroup /bin/sh /look";
  }

  static Seen parse(const std::string& text, bool own_namespace = true) {
    Seen seen;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string verb, names, group;
      std::uint64_t root = 0;
      words >> verb >> names >> root >> group;
      const bool fine = verb == "seen" && (group == "/" || !own_namespace);
      if (verb == "seen") seen.roots[names] = root;
      if (!fine) seen.wrong += line + "\n";
    }
    return seen;
  }
  // Nothing of `seen` is the machine's.
  static void expect_harmless(const Seen& seen) {
    EXPECT_EQ(seen.wrong, "");
    const auto hosts = host_roots();
    EXPECT_EQ(seen.roots.size(), hosts.size());
    for (const auto& [names, target] : hosts) {
      EXPECT_TRUE(seen.roots.contains(names)) << names;
      EXPECT_NE(seen.roots.at(names), inode(target)) << names;
      EXPECT_NE(seen.roots.at(names), inode(target + "/" + dir("BERTH_CGROUP"))) << names;
    }
  }
  static bool can_harm(const std::string& names) {
    return names != "cpuacct" && names != "devices" && !names.starts_with("name=");
  }
};

TEST_F(CgroupRoot, AdministratorFindsGroupsOfItsOwnAndExecDoesSo) {
  const std::string pod = run_pod();
  const std::string id = start_script(pod, "sleep 1000", administrator);
  const auto first = exec(id, kLook);
  ASSERT_TRUE(first.ok()) << first.text();
  const Seen seen = parse(first.value.stdout() + first.value.stderr());
  expect_harmless(seen);
  for (const auto& [names, target] : host_roots()) {
    const std::string shared = target + "/" + dir("BERTH_CGROUP") + "/default";
    EXPECT_NE(seen.roots.at(names), inode(shared)) << names;
  }
  kill_berthd();
  ASSERT_TRUE(start_berthd());
  const auto later = exec(id, "cat /proc/self/cgroup");
  ASSERT_TRUE(later.ok()) << later.text();
  std::istringstream lines(later.value.stdout());
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(line.ends_with(":/")) << line;
  EXPECT_EQ(parse(printed(pod, kLook, administrator)).wrong, "");
}

TEST_F(CgroupRoot, UserNamespaceOfAnUnconfinedContainerFindsNothingThatHurtsOthers) {
  std::vector<Seen> pods;
  for (int i = 0; i < 2; ++i) {
    const std::string id = start_script(run_pod(), "sleep 1000", unconfined);
    const auto answer = exec(id, in_user_namespace(kLook));
    ASSERT_TRUE(answer.ok()) << answer.text();
    pods.push_back(parse(answer.value.stdout() + answer.value.stderr()));
    expect_harmless(pods.back());
  }
  for (const auto& [names, target] : host_roots()) {
    if (!can_harm(names)) continue;
    EXPECT_NE(pods[0].roots.at(names), pods[1].roots.at(names)) << names;
  }
}

TEST_F(CgroupRoot, WhatAnUnconfinedContainerMakesIsGoneWithIt) {
  const std::string pod = run_pod();
  // The pod that stays is in the shared groups, too.
  const std::string other = start_script(run_pod(), "sleep 1000", unconfined);
  const std::string make = std::string(kLook) + R"(
for root in /mnt/*; do
  # Nothing is done to the machine's own root, should it be there.
  [ ! -e "$root/release_agent" ] || continue
  mkdir -p "$root/stray/below" || echo "failed $root"
  echo 1 >"$root/notify_on_release"
done)";
  EXPECT_EQ(parse(printed(pod, in_user_namespace(make), unconfined)).wrong, "");
  const auto strays = [] {
    std::string found;
    for (const auto& [names, target] : host_roots()) {
      std::error_code gone;
      const std::string top = target + "/" + dir("BERTH_CGROUP");
      for (fs::recursive_directory_iterator at(top, gone), end; !gone && at != end;
           at.increment(gone)) {
        if (at->path().filename() == "stray") found += at->path().string() + "\n";
      }
    }
    return found;
  };
  EXPECT_NE(strays(), "") << "the attack itself did not work";
  ASSERT_TRUE(remove_pod(pod).ok());
  EXPECT_TRUE(wait_until([&] { return strays().empty(); }, 10)) << strays();
  EXPECT_EQ(status(other).state(), v1::ContainerState::CONTAINER_RUNNING);
}

// A process that the v1 freezer stops does not die of SIGKILL.
TEST_F(CgroupRoot, ContainerThatFreezesItselfIsRemovedAndNobodyElseIsFrozen) {
  if (!host_roots().contains("freezer")) GTEST_SKIP() << "no v1 freezer";
  const std::string other = start_script(run_pod(), "sleep 1000", unconfined);
  const std::string pod = run_pod();
  const std::string id =
      start_script(pod,
                   in_user_namespace("mkdir -p /mnt; mount -t cgroup -o freezer none /mnt\n"
                                     "[ ! -e /mnt/release_agent ] || exit 1\n"
                                     "mkdir /mnt/in; echo 0 >/mnt/in/tasks\n"
                                     "echo FROZEN >/mnt/freezer.state; sleep 1000"),
                   unconfined);
  const std::string group =
      host_roots()["freezer"] + "/" + dir("BERTH_CGROUP") + "/berth-" + pod + "." + id;
  ASSERT_TRUE(wait_until([&] { return read_file(group + "/freezer.state") == "FROZEN\n"; }, 10));
  const auto answer = exec(other, "echo moves", 5);
  EXPECT_EQ(answer.value.stdout(), "moves\n") << answer.text();
  const auto removed = remove_pod(pod);
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_LT(removed.seconds, 5);
}

TEST_F(CgroupRoot, DefaultProfileLetsNobodyMountOrLeaveTheSharedGroups) {
  const std::string text = printed(run_pod(),
                                   "mount -t cgroup -o cpuset none /mnt && echo mounted\n"
                                   "unshare -U true && echo user\n"
                                   "nsenter -t 1 -u true && echo joined\n"
                                   "cat /proc/self/cgroup");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(line.ends_with(":/")) << line;
}

// With the pod's processes go their cgroup namespaces: of the init and of a sibling.
TEST_F(CgroupRoot, AdministratorInASharedPidNamespaceJoinsNoOtherRoot) {
  const std::string pod = run_pod([](v1::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  });
  const std::string sibling = start(pod, {"sleep", "1234"}, share_pid);
  const std::string admin = start_script(pod, "sleep 1000", [](v1::ContainerConfig& config) {
    administrator(config);
    share_pid(config);
    config.mutable_linux()
        ->mutable_security_context()
        ->mutable_capabilities()
        ->add_add_capabilities("SYS_PTRACE");
  });
  ASSERT_NE(sibling, "");
  for (const char* target : {"1", "$(pgrep -f '^sleep 1234')"}) {
    const std::string script = "cat >/look <<'END'\n" + std::string(kLook) +
                               "\nEND\n/usr/bin/unshare --mount /usr/bin/nsenter --target " +
                               target + " --cgroup /bin/sh /look";
    const auto answer = exec(admin, script);
    ASSERT_TRUE(answer.ok()) << answer.text();
    const Seen seen = parse(answer.value.stdout() + answer.value.stderr(), false);
    expect_harmless(seen);
    for (const auto& [names, host] : host_roots()) {
      const std::string shared = host + "/" + dir("BERTH_CGROUP") + "/default";
      EXPECT_NE(seen.roots.at(names), inode(shared)) << names;
    }
  }
}

TEST_F(CgroupRoot, PrivilegedContainerSeesTheHostsGroupsAndIsInOnesOfItsOwn) {
  const auto privileged_pod = [](v1::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_security_context()->set_privileged(true);
  };
  const std::string id =
      start_script(run_pod(privileged_pod), "sleep 1000", [](v1::ContainerConfig& config) {
        config.mutable_linux()->mutable_security_context()->set_privileged(true);
      });
  std::istringstream lines(read_file("/proc/" + std::to_string(pid_of(id)) + "/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_NE(line.find("/" + dir("BERTH_CGROUP") + "/"), std::string::npos) << line;
    EXPECT_NE(line.find(id), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace berth::node_test
