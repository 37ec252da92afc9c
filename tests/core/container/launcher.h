// SPDX-License-Identifier: Apache-2.0
// Test support: a place to launch from (a mount namespace of the test process, everything below a
// tmpfs that only it sees), a busybox root filesystem, and one function that runs a plan to its
// end.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/container/launch.h"
#include "core/container/report.h"
#include "core/container/spawn.h"
#include "core/linux/mmap.h"
#include "core/linux/mount.h"
#include "core/linux/pidfd.h"
#include "core/oci/spec.h"

namespace berth::container::testing {

// The path of a file below the place.
std::string place(const std::string& path);

// Once for each test program: unshares, mounts the tmpfs, builds place("lower"). Needs root.
class PlaceEnvironment : public ::testing::Environment {
 public:
  void SetUp() override;
};

// A running launch. Owns the descriptors that spawn returned.
struct Launch {
  int spawn_errno = 0;
  sys::Mmap plan_memory;
  PlanView plan;
  UniqueFd channel;
  UniqueFd pidfd;         // of the process
  UniqueFd helper_pidfd;  // of the helper, when there was one
  pid_t pid = -1;
  UniqueFd terminal;
  UniqueFd stdin_end, stdout_end, stderr_end;
  std::vector<Report> reports;
  bool ended_channel = false;

  const Report* find(ReportKind kind) const;
  bool executed() const;
  // As in "mounts /proc: ENOENT"; empty on success.
  std::string failure() const;
  // Waits until the report channel ends; fails the test after ten seconds.
  void wait_started();
  std::string read_stdout();
  std::string read_stderr();
  int wait_exit();  // 128 + signal when killed
  void kill(int signal_number);
};

struct LaunchOptions {
  pid_t* parent_tid = nullptr;
  std::span<std::byte> shared{};
  bool null_stdin = false;  // the container's /dev/null instead of a pipe
  int proc_fd = -1;
  bool bare_root = false;
};
Launch launch(const EncodedPlan& plan, const LaunchOptions& options = {});

// Leaves the calling process with an empty read-only tmpfs as its only mount, as in the keeper;
// returns a descriptor of /proc. Call it in a forked child of the test.
UniqueFd enter_bare_root();

// A fresh overlay over place("lower"), or over another directory below the place; detached.
sys::UniqueMount make_rootfs(const std::string& lower = "lower");

LaunchContainer base_spec(std::vector<std::string> args);
// Runs the container to its end and returns its stdout, or the failure text if it did not start.
std::string run(const LaunchContainer& spec, int* exit_code = nullptr, LaunchFds fds = {});
std::string run_shell(const std::string& script);

}  // namespace berth::container::testing
