// SPDX-License-Identifier: Apache-2.0
// Processes with a terminal: the master is sent over the report channel.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

// Reading a master fails with EIO once the last slave is closed: the output has ended.
std::string read_terminal(const UniqueFd& master) {
  std::string text;
  char chunk[1024];
  for (;;) {
    const ssize_t got = ::read(master.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EAGAIN) {
      ::usleep(1000);
      continue;
    }
    if (got <= 0) return text;
    text.append(chunk, static_cast<std::size_t>(got));
  }
}

TEST(Terminal, IsTheControllingOneAndTheConsole) {
  const sys::UniqueMount rootfs = make_rootfs();
  LaunchContainer spec = base_spec({"sh", "-c",
                                    "tty; echo on console > /dev/console; echo ctl > /dev/tty; "
                                    "stat -c %u /dev/pts/0"});
  spec.process.terminal = true;
  spec.process.user.uid = 1000;
  Launch launched = launch(encode_container(spec, {.rootfs = rootfs.get()}).value());
  launched.wait_started();
  ASSERT_TRUE(launched.executed()) << launched.failure();
  ASSERT_TRUE(launched.terminal.valid());
  EXPECT_EQ(read_terminal(launched.terminal), "/dev/pts/0\r\non console\r\nctl\r\n1000\r\n");
  EXPECT_EQ(launched.wait_exit(), 0);
}

TEST(Terminal, ExecGetsOneOfTheContainersOwn) {
  const sys::UniqueMount rootfs = make_rootfs();
  Launch container =
      launch(encode_container(base_spec({"sleep", "100"}), {.rootfs = rootfs.get()}).value());
  container.wait_started();
  oci::Process process = base_spec({"tty"}).process;
  process.terminal = true;
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.wait_started();
  ASSERT_TRUE(exec.executed()) << exec.failure();
  EXPECT_EQ(read_terminal(exec.terminal), "/dev/pts/0\r\n");
  EXPECT_EQ(exec.wait_exit(), 0);
  container.kill(SIGKILL);
  container.wait_exit();
}

TEST(Terminal, FakeMultiplexerOfAContainerIsRefused) {
  const sys::UniqueMount rootfs = make_rootfs();
  LaunchContainer spec =
      base_spec({"sh", "-c", "mkdir -p /dev/pts; mknod /dev/pts/ptmx c 1 5; echo ok; sleep 100"});
  std::erase_if(spec.mounts, [](const LaunchMount& mount) { return mount.type == "devpts"; });
  Launch container = launch(encode_container(spec, {.rootfs = rootfs.get()}).value());
  container.wait_started();
  char ok[3];
  ASSERT_EQ(::read(container.stdout_end.get(), ok, sizeof ok), 3);
  oci::Process process = base_spec({"tty"}).process;
  process.terminal = true;
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.wait_started();
  EXPECT_EQ(exec.failure(), "terminal /dev/pts/ptmx is not a terminal multiplexer: ENOTTY");
  EXPECT_EQ(exec.wait_exit(), 127);
  container.kill(SIGKILL);
  container.wait_exit();
}

}  // namespace
}  // namespace berth::container::testing
