// SPDX-License-Identifier: Apache-2.0
// When berthd cannot start it says why in one line and ends with a failure; a damaged past does not
// stop it. Run beside the suite's own berthd, on directories of its own.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

struct Outcome {
  bool ended = false;
  int status = 0;
  std::string text;
};

class StartUp : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    base_ = dir("BERTH_STATE") + "/startup";
    std::filesystem::create_directories(base_ + "/state");
    std::filesystem::create_directories(dir("BERTH_NODE_DIR") + "/startup-root");
  }
  void TearDown() override {
    end_strangers();
    std::filesystem::remove_all(base_);
    std::filesystem::remove_all(dir("BERTH_NODE_DIR") + "/startup-root");
    // The agent's own parent stays for the next agent; here there is none.
    for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup")) {
      const std::string parent = hierarchy.path().string() + "/" + dir("BERTH_CGROUP") + "/startup";
      ::rmdir(parent.c_str());
    }
    Node::TearDown();
  }

  std::vector<std::string> own_directories() {
    std::vector<std::string> words = berthd_arguments();
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "--listen") words[i + 1] = "unix://" + base_ + "/b.sock";
      if (words[i] == "--root") words[i + 1] = dir("BERTH_NODE_DIR") + "/startup-root";
      if (words[i] == "--state") words[i + 1] = base_ + "/state";
      if (words[i] == "--cgroup-parent") words[i + 1] += "/startup";
    }
    return words;
  }

  // Runs until it ends or `seconds_max` have passed; then it is ended by SIGTERM.
  static Outcome run(std::vector<std::string> words, double seconds_max, bool as_nobody = false) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string out = dir("BERTH_NODE_DIR") + "/startup.log";
    std::filesystem::remove(out);
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int log = ::open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
      ::dup2(log, 1);
      ::dup2(log, 2);
      if (as_nobody && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(126);
      ::close_range(3, ~0U, 0);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[0]);
    ::close(ends[1]);
    Outcome result;
    result.ended =
        wait_until([&] { return ::waitpid(pid, &result.status, WNOHANG) == pid; }, seconds_max);
    result.text = read_file(out);
    if (!result.ended) {
      ::kill(pid, SIGTERM);
      ::waitpid(pid, &result.status, 0);
    }
    return result;
  }

  static void expect_one_clear_line(const Outcome& run, const std::string& named) {
    EXPECT_TRUE(run.ended) << run.text;
    EXPECT_TRUE(WIFEXITED(run.status) && WEXITSTATUS(run.status) != 0)
        << "status " << run.status << ": " << run.text;
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = run.text.find("berthd: ", at)) != std::string::npos; ++at) {
      ++lines;
    }
    EXPECT_EQ(lines, 1u) << run.text;
    EXPECT_NE(run.text.find(named), std::string::npos) << named << ": " << run.text;
  }

  // Keepers of the directories used here are nobody's when their berthd has ended.
  void end_strangers() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string words = read_file(entry.path().string() + "/cmdline");
      if (words.find("berth-keeper") != std::string::npos &&
          words.find(base_) != std::string::npos) {
        ::kill(static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10)),
               SIGKILL);
      }
    }
  }

  std::string base_;
};

TEST_F(StartUp, WithoutRootItSaysSo) {
  expect_one_clear_line(run(own_directories(), 10, true), "root");
}

TEST_F(StartUp, UnknownFlagIsNamed) {
  std::vector<std::string> words = own_directories();
  words.push_back("--no-such-flag");
  expect_one_clear_line(run(words, 10), "no-such-flag");
}

TEST_F(StartUp, SecondAgentOnTheSameDirectoriesIsRefusedAndTheFirstGoesOn) {
  const std::string id = start(run_pod(), {"sleep", "1000"});
  expect_one_clear_line(run(berthd_arguments(), 15), dir("BERTH_STATE"));
  EXPECT_EQ(status(id).state(), v1::ContainerState::CONTAINER_RUNNING);
  EXPECT_EQ(exec(id, "echo on").value.stdout(), "on\n");
}

TEST_F(StartUp, StaleSocketIsTakenOver) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (base_ + "/b.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  const Outcome started = run(own_directories(), 3);
  EXPECT_FALSE(started.ended) << started.text;
  EXPECT_NE(started.text.find("serving runtime.v1"), std::string::npos) << started.text;
}

TEST_F(StartUp, GarbageInTheStateStoreIsSaidAndLeftAsItIs) {
  std::filesystem::create_directories(base_ + "/state/state");
  const std::string garbage(100'000, 'g');
  std::ofstream(base_ + "/state/state/data.mdb") << garbage;
  expect_one_clear_line(run(own_directories(), 10), base_ + "/state/state");
  EXPECT_EQ(read_file(base_ + "/state/state/data.mdb"), garbage);
}

TEST_F(StartUp, FullStateFilesystemIsSaid) {
  ASSERT_EQ(::mount("small", (base_ + "/state").c_str(), "tmpfs", 0, "size=16k"), 0);
  std::ofstream(base_ + "/state/filler") << std::string(1 << 20, 'f');
  const Outcome started = run(own_directories(), 10);
  expect_one_clear_line(started, base_ + "/state");
  end_strangers();
  EXPECT_TRUE(wait_until([&] { return ::umount((base_ + "/state").c_str()) == 0; }, 5));
}

TEST_F(StartUp, HandlerOfAnUnknownPluginIsNamed) {
  std::vector<std::string> words = own_directories();
  words.insert(words.end(), {"--runtime-handler", "sandboxed=no-such-plugin"});
  expect_one_clear_line(run(words, 10), "no-such-plugin");
}

// Pods that ask for a network namespace of their own must not get the host's.
TEST_F(StartUp, HostIsNoNetworkOfAHandler) {
  std::vector<std::string> words = own_directories();
  words.insert(words.end(), {"--runtime-handler", "native=native,network=host"});
  expect_one_clear_line(run(words, 10), "--network");
}

TEST_F(StartUp, KeeperThatIsNotThereIsNamed) {
  std::vector<std::string> words = own_directories();
  const auto flag = std::find(words.begin(), words.end(), "--keeper");
  ASSERT_LT(flag + 1, words.end());
  flag[1] = "/no/such/keeper";
  expect_one_clear_line(run(words, 10), "/no/such/keeper");
}

}  // namespace
}  // namespace berth::node_test
