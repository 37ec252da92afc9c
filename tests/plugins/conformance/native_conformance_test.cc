// SPDX-License-Identifier: Apache-2.0
// The built-in runtime handler keeps the contract, with real containers and a keeper of its own.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <thread>

#include "plugins/native/native.h"
#include "tests/conformance/runtime_handler_recovery.h"
#include "tests/conformance/runtime_handler_streams.h"
#include "tests/conformance/runtime_handler_suite.h"
#include "tests/core/container/launcher.h"

namespace berth::plugins {
namespace {

namespace fs = std::filesystem;

std::string new_directory() {
  static int count = 0;
  std::string path = container::testing::place("conformance-" + std::to_string(count++));
  fs::create_directories(path);
  return path;
}

class NativePlace final : public RuntimeHandlerFactory {
 public:
  NativePlace() : dir_(new_directory()), ring_(Ring::create().value()) { make(); }
  ~NativePlace() override { end_all(); }

  Ring& ring() override { return *ring_; }
  RuntimeHandler& handler() override { return *handler_; }
  void restart() override {
    drop();
    make();
  }
  oci::Spec spec(const fakes::Program& program) override;
  UniqueFd rootfs() override { return container::testing::make_rootfs().release(); }
  UniqueFd netns() override;
  std::string log_path(const std::string& id) override { return dir_ + "/" + id + ".log"; }

  bool lose_logs() override {
    const pid_t keeper = keeper_pid();
    drop();
    kill_and_reap(keeper);
    make();
    return true;
  }
  // The keeper, its parent, is dead; this program reaps it, so the next agent does not learn its
  // exit.
  bool end_unseen(const std::string&, pid_t pid) override {
    const pid_t keeper = keeper_pid();
    drop();
    kill_and_reap(keeper);
    kill_and_reap(pid);
    make();
    return true;
  }
  void end_init(const SandboxStatus& sandbox) override {
    ASSERT_GT(sandbox.init_pid, 1);
    ASSERT_EQ(::kill(sandbox.init_pid, SIGKILL), 0);
  }

 private:
  void make() {
    handler_ = std::make_unique<NativeRuntime>(
        NativeParts{.ring = *ring_, .log = log_, .state_dir = dir_, .keeper_binary = BERTH_KEEPER});
  }
  // A keeper that has to keep something sees the same when an agent is killed.
  void drop() {
    EXPECT_TRUE(ring_->run_until(handler_->close()).ok());
    handler_.reset();
  }
  pid_t keeper_pid() const {
    const auto info = handler_->info();
    const auto found = info.find("keeper_pid");
    return found == info.end() ? 0 : std::stoi(found->second);
  }
  static void kill_and_reap(pid_t pid) {
    ASSERT_GT(pid, 1);
    ::kill(pid, SIGKILL);
    // A child of the keeper becomes this program's, the first process of its PID namespace.
    const Deadline deadline = Deadline::after_ms(20'000);
    while (::kill(pid, 0) == 0 && !deadline.passed()) {
      ::waitpid(pid, nullptr, WNOHANG);
      ::usleep(1000);
    }
    EXPECT_NE(::kill(pid, 0), 0);
  }
  // An agent without records ends everything.
  void end_all() {
    restart();
    EXPECT_TRUE(ring_->run_until(handler_->recover({})).ok());
    const Deadline deadline = Deadline::after_ms(20'000);
    while (fs::exists(dir_ + "/keeper.sock") && !deadline.passed()) {
      static_cast<void>(
          ring_->run_until(with_deadline(*ring_, Deadline::after_ms(20), handler_->next_exit())));
      restart();
      if (!fs::exists(dir_ + "/keeper.sock")) break;
      EXPECT_TRUE(ring_->run_until(handler_->recover({})).ok());
    }
    EXPECT_FALSE(fs::exists(dir_ + "/keeper.sock")) << "a keeper that keeps nothing ends";
    drop();
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }

  std::string dir_;
  Log log_{LogLevel::error};
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<NativeRuntime> handler_;
};

oci::Spec NativePlace::spec(const fakes::Program& program) {
  using Type = oci::NamespaceType;
  oci::Spec spec;
  spec.process.args = fakes::args_of(program);
  spec.process.env = {"PATH=/bin:/usr/bin"};
  spec.mounts = {
      {.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec"}},
      {.destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = {"mode=755"}}};
  spec.linux.namespaces = {{Type::pid, ""},
                           {Type::mount, ""},
                           {Type::ipc, "berth:sandbox"},
                           {Type::uts, "berth:sandbox"},
                           {Type::network, "berth:sandbox"},
                           {Type::cgroup, ""}};
  spec.linux.devices = {{.path = "/dev/null", .mode = S_IFCHR | 0666, .major = 1, .minor = 3}};
  return spec;
}

UniqueFd NativePlace::netns() {
  UniqueFd fd;
  std::thread([&fd]() {
    if (::unshare(CLONE_NEWNET) != 0) return;
    fd.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  EXPECT_TRUE(fd.valid());
  return fd;
}

INSTANTIATE_TYPED_TEST_SUITE_P(Native, RuntimeHandlerLife, NativePlace);
INSTANTIATE_TYPED_TEST_SUITE_P(Native, RuntimeHandlerStreams, NativePlace);
INSTANTIATE_TYPED_TEST_SUITE_P(Native, RuntimeHandlerRecovery, NativePlace);

}  // namespace
}  // namespace berth::plugins
