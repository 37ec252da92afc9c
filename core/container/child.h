// SPDX-License-Identifier: Apache-2.0
// The child between clone and exec: a fixed sequence of steps, in files by subject. No step
// allocates, throws, logs or returns to the keeper's code; a step that fails reports and exits.
// Private to core/container.
#pragma once

#include <cstddef>

#include "core/container/report.h"
#include "core/container/spawn.h"

namespace berth::container {

struct Child {
  const SpawnRequest* request = nullptr;
  const PlanView* plan = nullptr;
  int channel = -1;
  Step step = Step::prepare;
  int proc_fd = -1;  // a procfs that no container can have tampered with
  int root_fd = -1;  // the container's root
  int dev_fd = -1;   // its /dev; -1: it has none
  // Detached clones of the empty directory and the empty file, for masking.
  struct Cover {
    int fd = -1;
    bool attached = false;
  } empty_dir, empty_file;
  int slave_fd = -1;  // of the terminal
  std::uint64_t stage_ns[kStages] = {};

  int fd(int index) const noexcept {
    return index < 0 ? -1 : request->fds[static_cast<std::size_t>(index)];
  }
};

// True: the process lives in a PID namespace with others and is made by a stage outside it.
bool needs_stage(const PlanView& plan) noexcept;

// Entry points after the clone.
[[noreturn]] void init_main(Child& child) noexcept;  // container and exec
[[noreturn]] void pod_init_main(Child& child) noexcept;

// Reporting. `fail` uses errno.
void report(Child& child, ReportKind kind, pid_t pid, const char* detail) noexcept;
[[noreturn]] void fail(Child& child, const char* detail) noexcept;
void mark(Child& child, Stage stage) noexcept;

// Which descriptors of the caller are still needed. Each step closes all others.
enum class Keep {
  plan,    // all that the plan names, the procfs
  tree,    // the mounts of the container's tree
  nothing  // only the standard streams and the report channel, which every step keeps
};
void close_others(Child& child, Keep keep) noexcept;
// Unmaps the memory that the caller shares with other processes.
void drop_shared_memory(Child& child) noexcept;
// Only in a stage: returns in the process itself, which was born in the plan's PID namespace.
void leave_stage(Child& child) noexcept;

// Steps, in the order in which init_main takes them.
void prepare_process(Child& child) noexcept;
void open_proc(Child& child) noexcept;
void set_oom_score_adj(Child& child) noexcept;
void place_in_cgroups(Child& child) noexcept;
void join_namespaces(Child& child) noexcept;
void write_sysctls(Child& child) noexcept;
void take_covers(Child& child) noexcept;
void enter_root(Child& child, int mount_fd) noexcept;
void make_mounts(Child& child) noexcept;
void make_devices(Child& child) noexcept;
void make_stdio(Child& child) noexcept;
void protect_paths(Child& child) noexcept;
void enter_cwd(Child& child) noexcept;
void set_rlimits(Child& child) noexcept;
void set_identity(Child& child) noexcept;
void lead_session(Child& child) noexcept;
void set_late_rlimits(Child& child) noexcept;
[[noreturn]] void filter_and_exec(Child& child) noexcept;

// Gives the path by which the process executes `name`, looked up in `search_path` when it has no
// slash. Null and errno: nothing that may be executed. The program, and the interpreters of a
// script, must be reachable without magic links (ELOOP). To be called with the identity of the
// process, before its filter. `buffer` holds the result of a look-up.
const char* find_program(const char* name, const char* search_path, char* buffer,
                         std::size_t size) noexcept;

// A new filesystem as a detached mount; -1 and errno.
int mount_new(const PlanView& plan, const PlanMount& mount) noexcept;
// A procfs of the PID namespace that the plan joins.
int mount_joined_proc(Child& child, const PlanMount& mount) noexcept;
// A detached clone of the file or directory `fd`; -1 and errno on failure.
int clone_tree(int fd, bool recursive) noexcept;
// Attaches on the O_PATH descriptor `on_fd`; 0, or -1 and errno.
int attach(int mount_fd, int on_fd) noexcept;

}  // namespace berth::container
