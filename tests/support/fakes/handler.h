// SPDX-License-Identifier: Apache-2.0
// A runtime handler without processes: the second implementation of plugins/api/runtime_handler.h,
// held to it by tests/conformance/runtime_handler_suite.h. The object is one agent's; the sandboxes
// and processes are the Machine's.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "core/task/event.h"
#include "plugins/api/runtime_handler.h"
#include "tests/support/fakes/machine.h"

namespace berth::fakes {

class FakeHandler final : public plugins::RuntimeHandler {
 public:
  FakeHandler(Machine& machine, Faults& faults);
  FakeHandler(const FakeHandler&) = delete;
  ~FakeHandler() override;

  std::string_view name() const override { return "fake"; }
  Task<plugins::Recovered> recover(std::vector<plugins::KnownSandbox> known) override;

  Task<plugins::SandboxStatus> start_sandbox(plugins::SandboxRequest request) override;
  Task<void> stop_sandbox(std::string sandbox_id) override;
  Task<plugins::SandboxStatus> sandbox_status(std::string sandbox_id) override;
  Task<void> keep(std::string sandbox_id, std::vector<UniqueFd> kept) override;

  Task<void> check(const oci::Spec& spec) override;
  Task<plugins::Started> start(plugins::StartRequest request) override;
  Task<plugins::Started> exec(plugins::ExecRequest request) override;
  Task<void> signal(std::string container_id, int signal_number) override;
  Task<void> kill_exec(std::string exec_id) override;
  Task<plugins::Exit> next_exit() override;
  Task<void> remove(std::string container_id) override;

  Task<void> reopen_log(std::string container_id, UniqueFd log_file) override;
  Task<UniqueFd> stdin_of(std::string id) override;
  Task<void> close_stdin(std::string id) override;

  Task<void> close() override;

 private:
  Result<plugins::SandboxStatus> status_of(const std::string& sandbox_id);
  Result<plugins::SandboxStatus> make_sandbox(plugins::SandboxRequest request);
  Result<plugins::Started> launch(plugins::StartRequest request);
  Result<plugins::Started> launch_exec(plugins::ExecRequest request);
  void end_unknown(const std::set<std::string>& sandboxes, const std::set<std::string>& containers,
                   std::vector<std::string>& ended);
  void note_end(const plugins::Exit& exit);

  Machine& machine_;
  Faults& faults_;
  std::deque<plugins::Exit> unreported_;
  Event has_exit_;
  bool closed_ = false;
};

// What the handlers of these tests refuse; names the member.
Status check_spec(const oci::Spec& spec);

}  // namespace berth::fakes
