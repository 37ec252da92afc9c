// SPDX-License-Identifier: Apache-2.0
// The sandboxes and processes of a fake runtime handler. It outlives the handler object as
// processes outlive the agent: a test that restarts the agent makes a new FakeHandler over the same
// Machine.
//
// Nothing is executed. A process has a program (program.h), and the program, a signal or the test
// decides when it ends.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "plugins/api/runtime_handler.h"
#include "tests/support/fakes/faults.h"
#include "tests/support/fakes/program.h"

namespace berth::fakes {

struct Process {
  plugins::Exit::Of of = plugins::Exit::Of::container;
  std::string id{};
  std::string sandbox_id{};
  std::string container_id{};  // of an exec
  pid_t pid = 0;
  std::int64_t started_at_ns = 0;
  Program program{};
  bool ending = false;                  // a signal that ends it is on its way
  std::optional<plugins::Exit> exit{};  // it has ended
  bool log_lost = false;
  UniqueFd log{};
  UniqueFd stdin_write{};
  UniqueFd out{}, err{};  // of an exec
};

struct FakeSandbox {
  plugins::SandboxNamespaces namespaces{};
  UniqueFd netns{};
  std::vector<UniqueFd> kept{};
  std::string lost{};
};

class Machine {
 public:
  Machine(Ring& ring, Faults& faults);
  Machine(const Machine&) = delete;
  // close() was awaited.
  ~Machine() = default;

  // The process runs its program, which may end before this returns.
  Process& start(Process process, UniqueFd stdin_read);
  // SIGKILL ends every program; another signal ends one that waits for it.
  void signal(const std::string& id, int signal_number);
  // Ends it now. Ended already or unknown: nothing.
  void end(const std::string& id, std::optional<int> exit_code);
  // Every process of the container, as the kernel does for cgroup.kill.
  void kill_container(const std::string& container_id);
  bool has_living(const std::string& container_id) const;
  // The init and every process of a sandbox, and the sandbox.
  void drop_sandbox(const std::string& sandbox_id);
  // The namespaces of the sandbox are gone; its processes stay.
  void lose_namespaces(const std::string& sandbox_id, std::string what);

  const Process* find(const std::string& id) const;
  // One line of a logged process, in the format of the CRI.
  static void write_log(Process& process, const std::string& line);

  std::map<std::string, Process> processes;
  std::map<std::string, FakeSandbox> sandboxes;
  // Every exit code that a process of this id has ended with, also after it was forgotten.
  std::map<std::string, std::vector<std::optional<int>>> exit_codes;
  // Called at each end. The handler object that reports to the agent sets it.
  std::function<void(const plugins::Exit&)> on_end;

  // Ends what runs beside (delayed ends, copies of stdin).
  Task<void> close();

 private:
  Task<void> end_later(std::string id, int exit_code, std::int64_t delay_ns);
  Task<void> repeat(std::string id);
  Task<void> copy_stdin(std::string id, std::shared_ptr<UniqueFd> stdin_read);

  Ring& ring_;
  Faults& faults_;
  Scope beside_;
  pid_t next_pid_ = 1000;
};

}  // namespace berth::fakes
