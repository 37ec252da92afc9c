// SPDX-License-Identifier: Apache-2.0
// Agent and keeper are killed again and again, alone and together, and after every restart what
// docs/SECURITY.md promises of containers still holds, none is lost, and exits are told rightly.
//
// BERTH_CAMPAIGN_KILLS=N: 300 without it. BERTH_CAMPAIGN_SEED=N repeats a run.
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "tests/cri/integration/isolation_fixture.h"

namespace berth::node_test {
namespace {

int number_of(const char* variable, int fallback) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? fallback : std::atoi(text);
}

class CrashCampaign : public Isolation {
 protected:
  struct Runner {
    const Mode* mode;
    std::string id;
    pid_t pid;
  };

  void start_runners() {
    for (const Mode& mode : kModes) {
      // A terminal's master is lost, and its process hung up, when both programs die at once.
      if (mode.target || mode.tty) continue;
      const std::string id = sleeper(mode);
      runners_.push_back({&mode, id, pid_of(id)});
    }
  }

  static void expect_keeper_out_of_reach() {
    const std::string exe = "/proc/" + std::to_string(keeper_pid()) + "/exe";
    EXPECT_EQ(::open(exe.c_str(), O_WRONLY | O_CLOEXEC), -1);
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(exe.c_str(), "berth-keeper", nullptr);
      ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), EACCES);
  }

  void expect_invariants(int round) const {
    for (const Runner& runner : runners_) {
      const v1::ContainerStatus now = status(runner.id);
      EXPECT_EQ(now.state(), v1::CONTAINER_RUNNING) << runner.mode->name;
      const std::string process = "/proc/" + std::to_string(runner.pid);
      EXPECT_EQ(numbers_in(process + "/fd"), (std::set<std::string>{"0", "1", "2"}))
          << runner.mode->name;
    }
    const Runner& one = runners_[static_cast<std::size_t>(round) % runners_.size()];
    const auto ran = exec(one.id, "ls /proc/$$/fd; exit 7");
    EXPECT_TRUE(ran.ok()) << one.mode->name << ": " << ran.text();
    EXPECT_EQ(ran.value.stdout(), "0\n1\n2\n") << one.mode->name;
    EXPECT_EQ(ran.value.exit_code(), 7);
    // A keeper that launches is done with its own start.
    expect_keeper_out_of_reach();
  }

  // A whole life, begun before the kill and ended after it.
  std::string begin_life(int code) {
    // A pod without a container loses its namespaces when both programs die.
    if (pod_.empty() || pod_status(pod_).state() != v1::SANDBOX_READY) pod_ = run_pod();
    return start_script(pod_,
                        "while [ ! -e /end ]; do sleep 0.01; done; exit " + std::to_string(code));
  }
  static void end_life(const std::string& id, int code) {
    EXPECT_TRUE(exec(id, "touch /end").ok());
    EXPECT_EQ(wait_exited(id).exit_code(), code);
    EXPECT_TRUE(remove(id).ok());
  }

  std::vector<Runner> runners_;
  std::string pod_;
};

TEST_F(CrashCampaign, InvariantsHoldAfterEveryRestart) {
  const int kills = number_of("BERTH_CAMPAIGN_KILLS", 300);
  const int seed = number_of("BERTH_CAMPAIGN_SEED", 1);
  std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
  start_runners();
  for (int round = 0; round < kills && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round) + ", seed " + std::to_string(seed));
    const int code = 1 + round % 100;
    const std::string living = round % 10 == 0 ? begin_life(code) : std::string();
    ::usleep(static_cast<useconds_t>(random() % 5000));
    const unsigned victim = random() % 8;  // the agent, the keeper, and one time in eight both
    const pid_t old_keeper = victim == 0 || victim > 4 ? keeper_pid() : -1;
    if (old_keeper > 0) kill_keeper();
    if (victim <= 4) {
      kill_berthd();
      ASSERT_TRUE(start_berthd());
    }
    connect();
    ASSERT_TRUE(wait_until(
        [old_keeper] {
          const pid_t now = keeper_pid();
          return now > 0 && now != old_keeper;
        },
        10));
    expect_invariants(round);
    if (!living.empty()) end_life(living, code);
  }
}

}  // namespace
}  // namespace berth::node_test
