// SPDX-License-Identifier: Apache-2.0
// Prints the duration of each stage of a launch from a mount namespace like the keeper's, which is
// an almost empty tmpfs. Not a benchmark: the limit only detects a step that has become many times
// slower.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "core/base/units.h"
#include "core/linux/capability.h"
#include "core/linux/namespace.h"
#include "cri/spec/seccomp_default.h"
#include "plugins/native/seccomp_programs.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

native::SeccompProgram runtime_default(std::uint64_t capabilities) {
  const auto profile = std::make_shared<const oci::Seccomp>(cri::seccomp_default(capabilities));
  native::SeccompPrograms programs;
  return programs.program_of(profile).value();
}

constexpr int kLaunches = 100;
constexpr std::int64_t kShortestNsMax = 10 * kNanosecondsPerMillisecond;

std::int64_t median(std::vector<std::int64_t> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void measure(bool bare_root) {
  LaunchContainer spec = base_spec({"/bin/true"});
  const std::uint64_t caps = spec.process.capabilities.bounding;
  const native::SeccompProgram filter = runtime_default(caps);
  spec.seccomp = *filter;
  spec.process.oom_score_adj = 999;
  const sys::NamespaceSet pod =
      sys::make_namespaces(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS).value();
  spec.namespaces.network = {PlanNamespaceMode::join, pod.netns.get()};
  spec.namespaces.ipc = {PlanNamespaceMode::join, pod.ipc.get()};
  spec.namespaces.uts = {PlanNamespaceMode::join, pod.uts.get()};
  std::vector<sys::UniqueMount> roots;
  for (int i = 0; i < kLaunches; ++i) roots.push_back(make_rootfs());
  const UniqueFd proc_fd = enter_bare_root();
  std::array<std::vector<std::int64_t>, kStages + 2> times;
  for (const sys::UniqueMount& rootfs : roots) {
    const std::int64_t begin = monotonic_now_ns();
    const EncodedPlan plan = encode_container(spec, {.rootfs = rootfs.get()}).value();
    Launch launched = launch(plan, {.proc_fd = proc_fd.get(), .bare_root = bare_root});
    launched.wait_started();
    const std::int64_t end = monotonic_now_ns();
    ASSERT_TRUE(launched.executed()) << launched.failure();
    ASSERT_EQ(launched.wait_exit(), 0);
    const Report* ready = launched.find(ReportKind::ready);
    std::int64_t last = begin;
    for (int stage = 0; stage < kStages; ++stage) {
      const auto at = static_cast<std::int64_t>(ready->stage_ns[stage]);
      times[stage].push_back(at - last);
      last = at;
    }
    times[kStages].push_back(end - last);
    times[kStages + 1].push_back(end - begin);
  }
  constexpr const char* kNames[] = {
      "plan and clone", "cgroups and namespaces", "root", "mounts", "devices and paths",
      "identity",       "filter and exec",        "whole"};
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::printf("%-24s %6ld us\n", kNames[i], static_cast<long>(median(times[i]) / 1000));
  }
  const auto& whole = times[kStages + 1];
  // Checks the shortest launch: other load on the machine only makes launches slower.
  EXPECT_LT(*std::min_element(whole.begin(), whole.end()), kShortestNsMax);
}

// With both ways into the root: chroot into an attached root (true), and pivot_root with umount
// (false).
class LaunchTime : public ::testing::TestWithParam<bool> {};

TEST_P(LaunchTime, ShortestLaunchIsBelowTheLimit) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    measure(GetParam());
    std::fflush(nullptr);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(BareRoot, LaunchTime, ::testing::Bool());

}  // namespace
}  // namespace berth::container::testing
