// SPDX-License-Identifier: Apache-2.0
#include "tests/core/keeper/keeper_node.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/keeper/build_id.h"
#include "core/ring/with_deadline.h"

namespace berth::keeper::testing {

namespace fs = std::filesystem;
using container::testing::place;

namespace {

std::string raw_bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string joined_log(const std::string& log, const std::string& stream) {
  std::string joined;
  for (const std::string& line : lines_of(log)) {
    // 2026-11-22T18:30:00.123456789Z stdout F text
    const bool formed = line.size() >= 40 && line[29] == 'Z' && line[30] == ' ' &&
                        line[37] == ' ' && (line[38] == 'F' || line[38] == 'P') && line[39] == ' ';
    EXPECT_TRUE(formed) << "malformed record: " << line.substr(0, 80);
    if (!formed || line.compare(31, 6, stream) != 0) continue;
    joined += line.substr(40);
    if (line[38] == 'F') joined += '\n';
  }
  return joined;
}

std::string other_build(const std::string& binary, const std::string& path) {
  std::string program = read_file(binary);
  const std::string id = raw_bytes_of(build_of_file(binary).value());
  const std::size_t at = program.find(id);
  EXPECT_NE(at, std::string::npos);
  if (at == std::string::npos) return {};
  program[at] = static_cast<char>(program[at] ^ 0x55);
  std::ofstream(path, std::ios::binary) << program;
  EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
  return path;
}

int count_fds(pid_t pid) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

bool eventually(const std::function<bool()>& condition, std::int64_t limit_ms) {
  const Deadline limit = Deadline::after_ms(limit_ms);
  while (!condition()) {
    if (limit.passed()) return false;
    ::usleep(2000);
  }
  return true;
}

void KeeperTest::SetUp() {
  static int count = 0;
  dir_ = place("node-" + std::to_string(count++));
  fs::create_directories(dir_);
  options_ = {.binary = BERTH_KEEPER, .state_dir = dir_};
  ring_ = Ring::create().value();
  connect();
}

void KeeperTest::connect() {
  auto connected = run(KeeperClient::connect_or_start(*ring_, log_, options_, soon()));
  ASSERT_TRUE(connected.ok()) << connected.error().message();
  client_ = std::move(*connected);
}

void KeeperTest::drop_client() {
  // For the keeper this is the same as a killed agent: the socket closes.
  ASSERT_TRUE(run(client_->close()).ok());
  client_.reset();
  ring_ = Ring::create().value();
}

void KeeperTest::TearDown() {
  if (!client_) return;
  for (const KnownProcess& process : client_->list()) {
    if (!process.exit) {
      ::kill(process.pid, SIGKILL);
      wait_exit(process.id);
    }
    forget(process.id);
  }
  for (const std::string& key : client_->held_keys()) {
    EXPECT_TRUE(run(client_->drop(key, soon())).ok());
  }
  Result<void> ended = run(client_->shutdown(soon()));
  EXPECT_TRUE(ended.ok()) << ended.error().message();
  EXPECT_TRUE(run(client_->close()).ok());
  EXPECT_FALSE(fs::exists(dir_ + "/keeper.sock"));
  EXPECT_FALSE(fs::exists(dir_ + "/keeper.table"));
  EXPECT_FALSE(fs::exists(dir_ + "/keeper.lock"));
  std::error_code busy;  // a test may have mounted something
  fs::remove_all(dir_, busy);
  // No child of the test or the keeper is left. A process that ended together with the keeper
  // became a child of the test.
  EXPECT_TRUE(eventually([] { return ::waitpid(-1, nullptr, WNOHANG) == -1; }, 1000));
}

UniqueFd KeeperTest::open_log(const std::string& path) const {
  return UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
}

Result<Started> KeeperTest::try_launch(const std::string& id, LaunchWish wish) {
  container::LaunchContainer spec = container::testing::base_spec(wish.args);
  spec.process.terminal = wish.terminal;
  spec.process.oom_score_adj = 0;
  spec.namespaces.network.mode = container::PlanNamespaceMode::host;
  if (wish.change) wish.change(spec);
  sys::UniqueMount rootfs = container::testing::make_rootfs();
  TRY(container::EncodedPlan plan, container::encode_container(spec, {.rootfs = rootfs.get()}));
  native::KeeperLaunch order;
  order.id = id;
  order.plan = std::move(plan);
  plugins::Stdio stdio;
  stdio.open_stdin = wish.open_stdin;
  if (wish.logged) stdio.log_file = open_log(log_path(id));
  TRY(order.streams, native::make_streams(std::move(stdio), spec.process));
  return run(client_->launch(std::move(order), soon()));
}

Started KeeperTest::launch(const std::string& id, LaunchWish wish) {
  Result<Started> started = try_launch(id, std::move(wish));
  EXPECT_TRUE(started.ok()) << started.error().message();
  return started.ok() ? std::move(*started) : Started{};
}

void KeeperTest::kill_process(const Started& started, int signal_number) {
  // kill(2) takes 0 as the own process group and -1 as every process.
  ASSERT_GT(started.pid, 1);
  ASSERT_EQ(::kill(started.pid, signal_number), 0);
}

Started KeeperTest::shell(const std::string& id, const std::string& script) {
  return launch(id, {.args = {"sh", "-c", script}});
}

Exit KeeperTest::wait_exit(const std::string& id) {
  for (size_t i = 0; i < aside_.size(); ++i) {
    if (aside_[i].id != id) continue;
    Exit exit = aside_[i];
    aside_.erase(aside_.begin() + static_cast<std::ptrdiff_t>(i));
    return exit;
  }
  for (;;) {
    Result<Exit> exit = run(with_deadline(*ring_, soon(), client_->next_exit()));
    EXPECT_TRUE(exit.ok()) << "waiting for the exit of " << id << ": " << exit.error().message();
    if (!exit.ok() || exit->id == id) return exit.ok() ? *exit : Exit{};
    aside_.push_back(*exit);
  }
}

void KeeperTest::forget(const std::string& id) {
  Result<void> forgotten = run(client_->forget(id, soon()));
  EXPECT_TRUE(forgotten.ok()) << forgotten.error().message();
}

void KeeperTest::kill_keeper() {
  const pid_t pid = client_->pid();
  ASSERT_GT(pid, 1);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
}

}  // namespace berth::keeper::testing
