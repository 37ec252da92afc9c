// SPDX-License-Identifier: Apache-2.0
// Limits as the kernel's control files show them, and what happens at the limit. Read in whichever
// hierarchy, v1 or v2, the process's controller is.
#include <fstream>
#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

struct Control {
  std::string directory;
  bool version1 = false;
};

class Limits : public Node {
 protected:
  static v1::LinuxContainerResources& resources(v1::ContainerConfig& config) {
    return *config.mutable_linux()->mutable_resources();
  }

  // The directory of `pid` for one controller, by /proc/<pid>/cgroup.
  static Control control_of(pid_t pid, const std::string& controller) {
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/cgroup"));
    std::string line;
    std::string unified;
    while (std::getline(lines, line)) {
      const std::size_t first = line.find(':');
      const std::size_t second = line.find(':', first + 1);
      const std::string names = line.substr(first + 1, second - first - 1);
      const std::string path = line.substr(second + 1);
      if (names.empty()) unified = path;
      if (("," + names + ",").find("," + controller + ",") != std::string::npos) {
        return {mount_of("cgroup", controller) + path, true};
      }
    }
    return {mount_of("cgroup2", "") + unified, false};
  }

 private:
  static std::string mount_of(const std::string& type, const std::string& option) {
    std::ifstream mounts("/proc/self/mounts");
    std::string source, target, found_type, options, rest;
    while (mounts >> source >> target >> found_type >> options && std::getline(mounts, rest)) {
      if (found_type != type) continue;
      if (("," + options + ",").find("," + option + (option.empty() ? "" : ",")) !=
          std::string::npos) {
        return target;
      }
    }
    return "/no-mount-of-" + type;
  }
};

TEST_F(Limits, MemoryCpuAndPidsAreInTheCgroup) {
  const std::string id = start(run_pod(), {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    resources(config).set_memory_limit_in_bytes(64 << 20);
    resources(config).set_cpu_period(100'000);
    resources(config).set_cpu_quota(50'000);
    resources(config).set_cpu_shares(512);
  });
  const pid_t pid = pid_of(id);
  const Control memory = control_of(pid, "memory");
  EXPECT_EQ(
      read_file(memory.directory + (memory.version1 ? "/memory.limit_in_bytes" : "/memory.max")),
      "67108864\n")
      << memory.directory;
  const Control cpu = control_of(pid, "cpu");
  if (cpu.version1) {
    EXPECT_EQ(read_file(cpu.directory + "/cpu.cfs_quota_us"), "50000\n");
    EXPECT_EQ(read_file(cpu.directory + "/cpu.cfs_period_us"), "100000\n");
    EXPECT_EQ(read_file(cpu.directory + "/cpu.shares"), "512\n");
  } else {
    EXPECT_EQ(read_file(cpu.directory + "/cpu.max"), "50000 100000\n");
  }
  EXPECT_EQ(status(id).resources().linux().cpu_shares(), 512);
  const Control pids = control_of(pid, "pids");
  EXPECT_EQ(read_file(pids.directory + "/pids.max"), std::to_string(kPidsLimit) + "\n")
      << pids.directory;
}

TEST_F(Limits, EveryContainerIsInACgroupOfItsOwnBelowTheParent) {
  const std::string pod = run_pod();
  const pid_t one = pid_of(start(pod, {"sleep", "1000"}));
  const pid_t two = pid_of(start(pod, {"sleep", "1000"}));
  for (const char* controller : {"memory", "cpu", "pids"}) {
    const Control first = control_of(one, controller);
    EXPECT_NE(first.directory.find(dir("BERTH_CGROUP")), std::string::npos) << first.directory;
    EXPECT_NE(first.directory, control_of(two, controller).directory);
  }
}

TEST_F(Limits, ProcessBeyondItsMemoryIsKilledAndTheReasonSaysSo) {
  const std::string id =
      start_script(run_pod(), "head -c 200000000 /dev/zero | tail >/dev/null; exit $?",
                   [](v1::ContainerConfig& config) {
                     resources(config).set_memory_limit_in_bytes(16 << 20);
                     resources(config).set_memory_swap_limit_in_bytes(16 << 20);
                   });
  const v1::ContainerStatus ended = wait_exited(id, 60);
  EXPECT_EQ(ended.exit_code(), 137);
  EXPECT_EQ(ended.reason(), "OOMKilled");
}

TEST_F(Limits, OomScoreIsSetOrClampedToWhatTheNodeMay) {
  const std::string pod = run_pod();
  const pid_t pid = pid_of(start(pod, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    resources(config).set_oom_score_adj(500);
  }));
  EXPECT_EQ(read_file("/proc/" + std::to_string(pid) + "/oom_score_adj"), "500\n");
  const std::string low = start(pod, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    resources(config).set_oom_score_adj(-999);
  });
  // The keeper asks for the lowest for itself: where that is refused, it is refused for all.
  const std::string keepers = read_file("/proc/" + std::to_string(keeper_pid()) + "/oom_score_adj");
  EXPECT_EQ(read_file("/proc/" + std::to_string(pid_of(low)) + "/oom_score_adj"), keepers);
}

}  // namespace
}  // namespace berth::node_test
