// SPDX-License-Identifier: Apache-2.0
// Further processes in running containers, shared PID namespaces, joined pod namespaces.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/linux/namespace.h"
#include "core/linux/openat2.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

Launch start(const LaunchContainer& spec, LaunchFds fds = {}) {
  const sys::UniqueMount rootfs = make_rootfs();
  fds.rootfs = rootfs.get();
  Launch launched = launch(encode_container(spec, fds).value());
  launched.wait_started();
  EXPECT_TRUE(launched.executed()) << launched.failure();
  return launched;
}

Launch start_exec(const Launch& container, std::vector<std::string> args,
                  const std::string& cwd = "/") {
  oci::Process process = base_spec(std::move(args)).process;
  process.cwd = cwd;
  Launch launched = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  launched.stdin_end.reset();
  launched.wait_started();
  return launched;
}

void end(Launch& launched) {
  launched.kill(SIGKILL);
  EXPECT_EQ(launched.wait_exit(), 137);
}

TEST(Exec, EntersEveryNamespaceOfTheContainer) {
  Launch container = start(base_spec({"sleep", "100"}));
  Launch exec =
      start_exec(container, {"sh", "-c",
                             "for n in mnt pid ipc uts net cgroup; do "
                             "[ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ]"
                             " || echo $n differs; done; readlink /proc/1/exe"});
  EXPECT_TRUE(exec.executed()) << exec.failure();
  EXPECT_EQ(exec.read_stdout(), "/bin/busybox\n");
  EXPECT_EQ(exec.wait_exit(), 0);
  end(container);
}

TEST(Exec, IsAChildOfTheCallerWithItsOwnExitCode) {
  Launch container = start(base_spec({"sleep", "100"}));
  Launch exec = start_exec(container, {"sh", "-c", "exit 42"});
  EXPECT_EQ(exec.wait_exit(), 42);
  end(container);
}

// Runs an exec that prints its identity. The container's own process is root with the default
// settings, so the two differ.
std::string identity_of_exec(const Launch& container, const oci::Process& process) {
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.stdin_end.reset();
  exec.wait_started();
  EXPECT_TRUE(exec.executed()) << exec.failure();
  const std::string text = exec.read_stdout();
  EXPECT_EQ(exec.wait_exit(), 0);
  return text;
}

TEST(Exec, HasTheUserGroupsUmaskAndNoNewPrivilegesOfItsOwnPlan) {
  Launch container = start(base_spec({"sleep", "100"}));
  oci::Process process =
      base_spec({"grep", "-E", "^(Umask|Uid|Gid|Groups|NoNewPrivs):", "/proc/self/status"}).process;
  process.user = {1000, 2000, {3000, 4000}, 0027};
  process.no_new_privileges = true;
  EXPECT_EQ(identity_of_exec(container, process),
            "Umask:\t0027\nUid:\t1000\t1000\t1000\t1000\nGid:\t2000\t2000\t2000\t2000\n"
            "Groups:\t3000 4000 \nNoNewPrivs:\t1\n");
  process.user = {};
  process.no_new_privileges = false;
  // A plan without groups gives none: the caller's groups are not passed on.
  const gid_t callers = 4242;
  ASSERT_EQ(::setgroups(1, &callers), 0);
  EXPECT_EQ(identity_of_exec(container, process),
            "Umask:\t0022\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
            "Groups:\t \nNoNewPrivs:\t0\n");
  ASSERT_EQ(::setgroups(0, nullptr), 0);
  end(container);
}

TEST(Exec, HasTheCapabilitiesAndLimitsOfItsOwnPlan) {
  Launch container = start(base_spec({"sleep", "100"}));
  oci::Process process = base_spec({"sh", "-c",
                                    "grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status; "
                                    "grep 'open files' /proc/self/limits"})
                             .process;
  const std::uint64_t chown = 1;  // CAP_CHOWN
  process.capabilities = {chown, chown, 0, chown, 0};
  process.rlimits = {{RLIMIT_NOFILE, 100, 200}};
  EXPECT_EQ(identity_of_exec(container, process),
            "CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n"
            "CapAmb:\t0000000000000000\n"
            "Max open files            100                  200                  files     \n");
  end(container);
}

// The helper that creates the process has the same user and must not count against the limit.
TEST(Exec, LimitOfProcessesDoesNotCountTheHelper) {
  Launch container = start(base_spec({"sleep", "100"}));
  oci::Process process = base_spec({"grep", "processes", "/proc/self/limits"}).process;
  process.user.uid = 4242;
  process.rlimits = {{RLIMIT_NPROC, 1, 1}, {RLIMIT_NOFILE, 4, 5}};
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.wait_started();
  EXPECT_TRUE(exec.executed()) << exec.failure();
  EXPECT_EQ(exec.read_stdout(),
            "Max processes             1                    1                    processes \n");
  EXPECT_EQ(exec.wait_exit(), 0);
  end(container);
}

TEST(Exec, FailuresNameTheStep) {
  Launch container = start(base_spec({"sleep", "100"}));
  Launch missing = start_exec(container, {"no-such"});
  EXPECT_EQ(missing.failure(), "exec no-such: ENOENT");
  EXPECT_EQ(missing.wait_exit(), 127);
  // An exec must not create anything in the container's file tree.
  Launch nowhere = start_exec(container, {"true"}, "/no/such/place");
  EXPECT_EQ(nowhere.failure(), "working directory /no/such/place: ENOENT");
  EXPECT_EQ(nowhere.wait_exit(), 127);
  end(container);
}

TEST(Exec, IntoAnEndedContainerIsAnError) {
  Launch container = start(base_spec({"true"}));
  const UniqueFd pidfd(::fcntl(container.pidfd.get(), F_DUPFD_CLOEXEC, 3));
  container.wait_exit();
  const oci::Process process = base_spec({"true"}).process;
  Launch exec = launch(encode_exec(process, {}, {.target = pidfd.get()}).value());
  exec.wait_started();
  EXPECT_EQ(exec.failure(), "namespaces of the container: ESRCH");
  EXPECT_EQ(exec.wait_exit(), 127);
}

// The first process of a PID namespace is not waitable while another process of the namespace is a
// zombie. The caller must reap that zombie, so it must wait for the exec process first.
TEST(Exec, DiesWithTheContainersFirstProcessAndMustBeReapedBeforeIt) {
  Launch container = start(base_spec({"sleep", "100"}));
  Launch exec = start_exec(container, {"sleep", "100"});
  ASSERT_TRUE(exec.executed());
  container.kill(SIGKILL);
  ::usleep(20'000);
  EXPECT_FALSE(sys::waitid_nohang(container.pidfd.get()).value().has_value());
  EXPECT_EQ(exec.wait_exit(), 137);
  EXPECT_EQ(container.wait_exit(), 137);
}

TEST(JoinedNamespaces, ContainersOfAPodShareNetworkIpcAndName) {
  const sys::NamespaceSet pod =
      sys::make_namespaces(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS).value();
  ASSERT_TRUE(sys::set_hostname_in(pod.uts.get(), "pod-name").ok());
  LaunchContainer spec = base_spec({"sh", "-c",
                                    "hostname; cat /sys/class/net/lo/flags; "
                                    "for n in net ipc uts; do readlink /proc/self/ns/$n; done"});
  spec.namespaces.network = {PlanNamespaceMode::join, pod.netns.get()};
  spec.namespaces.ipc = {PlanNamespaceMode::join, pod.ipc.get()};
  spec.namespaces.uts = {PlanNamespaceMode::join, pod.uts.get()};
  const std::string first = run(spec);
  EXPECT_EQ(first.find("pod-name\n0x9\nnet:["), 0U) << first;
  EXPECT_EQ(run(spec), first);
}

TEST(JoinedNamespaces, HostNetworkIsTheCallersOwn) {
  LaunchContainer spec = base_spec({"readlink", "/proc/self/ns/net"});
  spec.namespaces.network.mode = PlanNamespaceMode::host;
  char mine[64] = {};
  ASSERT_GT(::readlink("/proc/self/ns/net", mine, sizeof mine - 1), 0);
  EXPECT_EQ(run(spec), std::string(mine) + "\n");
}

Launch start_pod_init() {
  Launch init = launch(encode_pod_init({}, 100, {}).value());
  init.wait_started();
  EXPECT_TRUE(init.executed()) << init.failure();
  return init;
}

TEST(PodInit, HoldsNothingAndEndsOnSigterm) {
  Launch init = start_pod_init();
  const std::string proc = "/proc/" + std::to_string(init.pid) + "/";
  const std::string status = sys::read_small_file(AT_FDCWD, proc + "status").value();
  EXPECT_NE(status.find("Name:\tberth-pod-init"), std::string::npos);
  EXPECT_NE(status.find("CapPrm:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("CapBnd:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("Uid:\t65535"), std::string::npos);
  const UniqueFd fds(::open((proc + "fd").c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(sys::openat(fds.get(), "0", O_PATH | O_NOFOLLOW).error().sys_errno, ENOENT);
  const std::string mounts = sys::read_small_file(AT_FDCWD, proc + "mountinfo").value();
  EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  init.kill(SIGTERM);
  EXPECT_EQ(init.wait_exit(), 0);
}

TEST(PodInit, ContainersOfThePodSeeEachOther) {
  Launch init = start_pod_init();
  LaunchContainer sleeper = base_spec({"sleep", "100"});
  sleeper.namespaces.pid = {PlanNamespaceMode::join, init.pidfd.get()};
  Launch first = start(sleeper);
  ASSERT_NE(first.find(ReportKind::created), nullptr);
  LaunchContainer looker = base_spec({"sh", "-c",
                                      "ps -o pid,args; [ -e /proc/1/root/. ] && echo op''en; "
                                      "[ $(readlink /proc/self) -lt 20 ] && echo 'its own'; "
                                      "cat /proc/1/comm"});
  // Joins by pidfd, as the other tests do, and by the namespace's descriptor, as the agent does.
  // The `pidns` option of procfs does not accept a pidfd, so the first case takes the way of
  // kernels without that option.
  const std::string path = "/proc/" + std::to_string(init.pid) + "/ns/pid";
  const UniqueFd pid_namespace(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  for (const int fd : {init.pidfd.get(), pid_namespace.get()}) {
    looker.namespaces.pid = {PlanNamespaceMode::join, fd};
    const std::string seen = run(looker);
    EXPECT_NE(seen.find("sleep 100"), std::string::npos) << seen;
    EXPECT_NE(seen.find("its own\nberth-pod-init\n"), std::string::npos)
        << "a procfs of another PID namespace: " << seen;
    // The first process runs the keeper's program: the pod must not reach its root and memory.
    EXPECT_EQ(seen.find("open\n"), std::string::npos) << seen;
  }
  init.kill(SIGTERM);
  EXPECT_EQ(first.wait_exit(), 137);
  EXPECT_EQ(init.wait_exit(), 0);
}

TEST(PodInit, ReapsOrphans) {
  Launch init = start_pod_init();
  LaunchContainer spec = base_spec({"sh", "-c", "(sh -c 'true &' ); sleep 100"});
  spec.namespaces.pid = {PlanNamespaceMode::join, init.pidfd.get()};
  Launch container = start(spec);
  // The kernel ends and reaps the orphan in one step; the loop waits until the shell has come to
  // `sleep`.
  std::string seen;
  for (int attempt = 0; attempt < 100; ++attempt) {
    Launch exec = start_exec(container, {"sh", "-c", "ps -o stat,args"});
    seen = exec.read_stdout();
    exec.wait_exit();
    if (seen.find("Z") == std::string::npos && seen.find("sleep 100") != std::string::npos) break;
    ::usleep(10'000);
  }
  EXPECT_EQ(seen.find("Z"), std::string::npos) << seen;
  init.kill(SIGTERM);
  container.wait_exit();
  init.wait_exit();
}

}  // namespace
}  // namespace berth::container::testing
