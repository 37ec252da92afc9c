// SPDX-License-Identifier: Apache-2.0
// What a child tells the keeper between clone and exec, over the report socket that spawn returns
// (SOCK_SEQPACKET, one Report for each message, close-on-exec in the child):
//
//   created? --> terminal? --> ready? --> failed? --> end of file
//
// - created: the process was made by a stage process (spawn.h); `pid` is the real one, in the
//   keeper's PID namespace, and it is the keeper's child. The stage exits by itself: reap its
//   pidfd. The pid cannot be reused before the keeper reaps it, so pidfd_open(pid) is safe then.
//   The process runs meanwhile: its own `ready` and `failed` may come before this one.
// - terminal: carries the master of the process's terminal (SCM_RIGHTS).
// - ready: all but the filter and the exec is done (pod_init: it is up); `stage_ns` says when each
//   stage was done.
// - failed: `step`, `sys_errno` and `detail` say what failed; the process exits with 127 right
//   after. An exec that is refused comes after ready.
// - end of file with ready and without failed: the program runs. Without either: the process was
//   killed on the way; its exit says by what.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace berth::container {

enum class ReportKind : std::uint32_t { created = 1, terminal = 2, failed = 3, ready = 4 };

// In the order in which they happen; `clone` is reported by spawn's return value.
enum class Step : std::uint32_t {
  prepare = 1,  // signals, session, descriptors
  clone,
  cgroup,
  namespaces,
  rootfs,
  mounts,
  devices,
  terminal,
  paths,  // masked and readonly
  sysctl,
  cwd,
  rlimits,
  identity,  // groups, ids, capabilities
  seccomp,
  exec,
};
// "mounts": for messages and metrics.
const char* step_name(Step step) noexcept;

// Index into Report::stage_ns.
enum Stage {
  kStageStarted,
  kStagePlaced,
  kStageRootfs,
  kStageMounts,
  kStageFurnished,
  kStageReady
};
constexpr int kStages = 6;
// "rootfs": for `berth explain`.
const char* stage_name(Stage stage) noexcept;

struct Report {
  ReportKind kind = ReportKind::failed;
  Step step = Step::prepare;
  std::int32_t sys_errno = 0;
  pid_t pid = 0;
  std::uint64_t stage_ns[kStages] = {};  // CLOCK_MONOTONIC, 0: not reached
  char detail[200] = {};                 // the path or the command, cut at the end, NUL terminated
};

enum class ReadReport { message, nothing_yet, end_of_file, broken };
// One non-blocking receive. `passed_fd` gets the descriptor of a terminal message, else -1; the
// caller owns it. broken: not a Report, or the socket failed (errno).
ReadReport read_report(int channel, Report* report, int* passed_fd) noexcept;

}  // namespace berth::container
