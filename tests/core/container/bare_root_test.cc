// SPDX-License-Identifier: Apache-2.0
// Launches from a mount namespace like the keeper's: it has one empty tmpfs, which stays mounted
// below the container's root.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "core/linux/capability.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

class BareRoot : public ::testing::Test {
 protected:
  // Runs `body` in a child process whose root is the empty tmpfs.
  static void in_bare_root(const std::function<void(const LaunchOptions&)>& body) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const UniqueFd proc_fd = enter_bare_root();
      LaunchOptions options;
      options.proc_fd = proc_fd.get();
      options.bare_root = true;
      body(options);
      std::fflush(nullptr);
      ::_exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  static std::string output(const LaunchContainer& spec) {
    const sys::UniqueMount rootfs = make_rootfs();
    std::string text;
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    in_bare_root([&](const LaunchOptions& options) {
      Launch launched = launch(encode_container(spec, {.rootfs = rootfs.get()}).value(), options);
      launched.wait_started();
      EXPECT_TRUE(launched.executed()) << launched.failure();
      const std::string got = launched.read_stdout() + launched.read_stderr();
      EXPECT_EQ(::write(ends[1], got.data(), got.size()), static_cast<ssize_t>(got.size()));
      launched.wait_exit();
    });
    ::close(ends[1]);
    char chunk[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
      text.append(chunk, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    return text;
  }

  static LaunchContainer privileged(const std::string& script) {
    LaunchContainer spec = base_spec({"sh", "-c", script});
    const std::uint64_t all = sys::capability_permitted().value();
    spec.process.capabilities = {all, all, 0, all, 0};
    spec.masked_paths.clear();
    spec.readonly_paths.clear();
    return spec;
  }
};

TEST_F(BareRoot, ContainerSeesItsOwnTreeOnly) {
  EXPECT_EQ(output(base_spec({"sh", "-c",
                              "ls /; ls /sys/firmware; grep -c ' / / ' "
                              "/proc/self/mountinfo; ls /.. | grep -c bin"})),
            "bin\ndev\netc\nproc\nroot\nsys\ntmp\nusr\n1\n1\n");
}

TEST_F(BareRoot, ItIsNotChrooted) {
  // The kernel refuses user namespaces to a chrooted process.
  EXPECT_EQ(output(privileged("unshare -Ur echo fine")), "fine\n");
}

TEST_F(BareRoot, EnteringItsOwnMountNamespaceLeadsToTheContainersRoot) {
  EXPECT_EQ(output(privileged("busybox nsenter --mount=/proc/self/ns/mnt ls /bin/busybox")),
            "/bin/busybox\n");
}

TEST_F(BareRoot, PrivilegedContainerMayPivot) {
  EXPECT_EQ(output(privileged("mount -t tmpfs t /tmp; mkdir /tmp/old; cd /tmp; "
                              "busybox pivot_root . old && echo pivoted")),
            "pivoted\n");
}

TEST_F(BareRoot, ExecEntersTheContainersRoot) {
  const sys::UniqueMount rootfs = make_rootfs();
  in_bare_root([&](const LaunchOptions& options) {
    const LaunchContainer spec = base_spec({"sleep", "100"});
    Launch container = launch(encode_container(spec, {.rootfs = rootfs.get()}).value(), options);
    container.wait_started();
    ASSERT_TRUE(container.executed()) << container.failure();
    oci::Process process =
        base_spec({"sh", "-c", "cd /; ls bin/busybox; cat /proc/1/cmdline"}).process;
    process.oom_score_adj = 700;
    Launch exec =
        launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value(), options);
    exec.wait_started();
    EXPECT_EQ(exec.read_stdout(), std::string("bin/busybox\nsleep\000100\000", 22));
    EXPECT_EQ(exec.wait_exit(), 0);
    container.kill(SIGKILL);
    container.wait_exit();
  });
}

TEST_F(BareRoot, PodInitStartsAndEndsOnSigterm) {
  in_bare_root([&](const LaunchOptions& options) {
    Launch init = launch(encode_pod_init({}, 0, {}).value(), options);
    init.wait_started();
    EXPECT_TRUE(init.executed()) << init.failure();
    init.kill(SIGTERM);
    EXPECT_EQ(init.wait_exit(), 0);
  });
}

}  // namespace
}  // namespace berth::container::testing
