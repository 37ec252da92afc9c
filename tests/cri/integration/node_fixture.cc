// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/integration/node_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace berth::node_test {

namespace {

constexpr double kStartSecondsMax = 30;

pid_t pid_from(const std::string& text) {
  pid_t pid = -1;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

// The child only makes async-signal-safe calls: this process has gRPC's threads.
pid_t spawn(const std::vector<std::string>& words, const std::string& log_path) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::setsid();
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::close_range(3, ~0U, 0);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

pid_t Node::berthd_pid_ = -1;
std::unique_ptr<Client> Node::client_;
Holdings Node::before_;
int Node::serial_ = 0;

Client::Client(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  const auto channel =
      grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
  runtime_ = v1::RuntimeService::NewStub(channel);
  images_ = v1::ImageService::NewStub(channel);
}

std::string Node::dir(const char* variable) {
  const char* value = std::getenv(variable);
  EXPECT_NE(value, nullptr) << variable << ": run this through run-in-node.sh";
  return value == nullptr ? "/nonexistent" : value;
}

std::string Node::endpoint() {
  return "unix://" + dir("BERTH_STATE") + "/berth.sock";
}

std::vector<std::string> Node::berthd_arguments() {
  return {BERTHD,
          "--listen",
          endpoint(),
          "--root",
          dir("BERTH_ROOT"),
          "--state",
          dir("BERTH_STATE") + "/berth",
          "--cgroup-parent",
          dir("BERTH_CGROUP"),
          "--keeper",
          BERTH_KEEPER,
          "--network",
          "isolated",
          "--runtime-handler",
          "native=native",
          "--runtime-handler",
          "second=native,network=isolated,pids-limit=64",
          "--runtime-handler",
          "cni=native,network=cni",
          "--cni-conf-dir",
          cni_conf_dir(),
          "--cni-bin-dir",
          "/usr/lib/cni",
          "--pids-limit",
          std::to_string(kPidsLimit),
          "--registries-conf",
          registries_conf()};
}

std::string Node::registries_conf() {
  return dir("BERTH_NODE_DIR") + "/registries.conf";
}

std::string Node::cni_conf_dir() {
  return dir("BERTH_NODE_DIR") + "/cni";
}

std::string Node::cli_program() {
  return BERTH_CLI;
}

Ran Node::shell(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe)) {
    ran.out.append(piece, got);
  }
  const int status = ::pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

Ran Node::berth(const std::string& words) {
  return shell(cli_program() + " --endpoint " + endpoint() + " " + words);
}

std::string Node::berthd_log() {
  return read_file(dir("BERTH_NODE_DIR") + "/berthd.log");
}

void Node::connect() {
  client_ = std::make_unique<Client>(endpoint());
}

bool Node::start_berthd() {
  const std::size_t log_begin = berthd_log().size();
  berthd_pid_ = spawn(berthd_arguments(), dir("BERTH_NODE_DIR") + "/berthd.log");
  const bool answered = wait_until(
      []() {
        int status = 0;
        if (::waitpid(berthd_pid_, &status, WNOHANG) == berthd_pid_) {
          berthd_pid_ = -1;
          return true;
        }
        connect();
        return call(&Runtime::Version, v1::VersionRequest(), 1).ok();
      },
      kStartSecondsMax);
  EXPECT_TRUE(answered && berthd_pid_ > 0) << "berthd did not start:\n"
                                           << berthd_log().substr(log_begin);
  return answered && berthd_pid_ > 0;
}

void Node::kill_berthd() {
  if (berthd_pid_ < 0) return;
  ::kill(berthd_pid_, SIGKILL);
  ::waitpid(berthd_pid_, nullptr, 0);
  berthd_pid_ = -1;
}

int Node::terminate_berthd() {
  int status = -1;
  if (berthd_pid_ < 0) return status;
  ::kill(berthd_pid_, SIGTERM);
  const bool ended = wait_until(
      [&status]() { return ::waitpid(berthd_pid_, &status, WNOHANG) == berthd_pid_; }, 15);
  EXPECT_TRUE(ended) << "berthd does not end on SIGTERM";
  if (!ended) {
    kill_berthd();
    return -1;
  }
  berthd_pid_ = -1;
  return status;
}

pid_t Node::keeper_pid() {
  v1::StatusRequest request;
  request.set_verbose(true);
  const auto answer = call(&Runtime::Status, request);
  EXPECT_TRUE(answer.ok()) << answer.text();
  const auto pid = answer.value.info().find("keeper_pid");
  return pid == answer.value.info().end() ? -1 : pid_from(pid->second);
}

void Node::kill_keeper() {
  const pid_t pid = keeper_pid();
  ASSERT_GT(pid, 1);
  const std::string proc = "/proc/" + std::to_string(pid);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_TRUE(wait_until(
      [&proc]() {
        const std::string stat = read_file(proc + "/stat");
        return stat.empty() || stat.find(") Z ") != std::string::npos;
      },
      5));
}

void Node::SetUpTestSuite() {
  if (!start_berthd()) return;
  v1::PullImageRequest pull;
  for (const char* image : {"busybox", "merged", "nocmd", "ghost", "hostile", "sloppy", "fifo"}) {
    pull.mutable_image()->set_image("127.0.0.1:5000/" + std::string(image) + ":latest");
    const auto answer = call(&Images::PullImage, pull);
    EXPECT_TRUE(answer.ok()) << image << ": " << answer.text();
  }
}

// The keeper is ended with the suite: the next one begins with a keeper of its own.
void Node::TearDownTestSuite() {
  if (berthd_pid_ < 0) return;
  const pid_t keeper = keeper_pid();
  EXPECT_EQ(terminate_berthd(), 0) << berthd_log();
  if (keeper > 1) {
    ::kill(keeper, SIGKILL);
    const std::string proc = "/proc/" + std::to_string(keeper) + "/fd/0";
    wait_until([&proc]() { return ::access(proc.c_str(), F_OK) != 0; }, 5);
  }
  client_.reset();
}

void Node::SetUp() {
  ASSERT_GT(berthd_pid_, 0) << "berthd does not run";
  remember_holdings();
}

void Node::TearDown() {
  if (berthd_pid_ < 0) start_berthd();
  remove_all_pods();
  EXPECT_EQ(leftovers(), "");
  if (HasFailure())
    std::fprintf(stderr, "berthd's log ends:\n%.4000s\n",
                 [] {
                   const std::string log = berthd_log();
                   return log.substr(log.size() > 4000 ? log.size() - 4000 : 0);
                 }()
                     .c_str());
}

bool Node::wait_until(const std::function<bool()>& done, double seconds_max) {
  const auto deadline = std::chrono::steady_clock::now() + Seconds(seconds_max);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

std::string Node::read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();  // a file of a process that ends meanwhile is empty
  return text.str();
}

}  // namespace berth::node_test
