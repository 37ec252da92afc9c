// SPDX-License-Identifier: Apache-2.0
// The built-in runtime handler: berth's own launch plan and keeper, no OCI command line. It owns
// the connection to the keeper from recover() to close(), the sandboxes and the compiled filters.
// Which processes live is what the keeper says.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/ring/ring.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/native/keeper_client.h"
#include "plugins/native/sandboxes.h"
#include "plugins/native/seccomp_programs.h"

namespace berth::plugins {

// Borrowed parts outlive the handler.
struct NativeParts {
  Ring& ring;
  Log& log;
  std::string state_dir{};      // holds keeper.sock, keeper.lock and keeper.table
  std::string keeper_binary{};  // path of berth-keeper
};

class NativeRuntime final : public RuntimeHandler {
 public:
  explicit NativeRuntime(NativeParts parts);
  ~NativeRuntime() override;

  std::string_view name() const override { return "native"; }
  Task<Recovered> recover(std::vector<KnownSandbox> known) override;

  Task<SandboxStatus> start_sandbox(SandboxRequest request) override;
  Task<void> stop_sandbox(std::string sandbox_id) override;
  Task<SandboxStatus> sandbox_status(std::string sandbox_id) override;
  Task<void> keep(std::string sandbox_id, std::vector<UniqueFd> kept) override;

  Task<void> check(const oci::Spec& spec) override;
  Task<Started> start(StartRequest request) override;
  Task<Started> exec(ExecRequest request) override;
  Task<void> signal(std::string container_id, int signal_number) override;
  Task<void> kill_exec(std::string exec_id) override;
  Task<Exit> next_exit() override;
  Task<void> remove(std::string container_id) override;

  Task<void> reopen_log(std::string container_id, UniqueFd log_file) override;
  Task<UniqueFd> stdin_of(std::string id) override;
  Task<void> close_stdin(std::string id) override;

  RuntimeFeatures features() const override { return {.recursive_read_only_mounts = true}; }
  std::map<std::string, std::string> versions() const override;
  std::map<std::string, std::string> info() const override;
  Task<void> close() override;

 private:
  // The descriptor is pushed to `opened`.
  Result<int> open_namespace(const std::string& sandbox_id, oci::NamespaceType type,
                             const std::string& path, std::vector<UniqueFd>& opened) const;
  Task<container::EncodedPlan> plan_container(StartRequest& request,
                                              std::vector<UniqueFd>& namespaces);

  // Recovery.
  void add_containers(const std::set<std::string>& known, Recovered& recovered) const;
  Task<void> end_unknown(const std::set<std::string>& containers, Recovered& recovered);

  NativeParts parts_;
  std::unique_ptr<native::KeeperClient> keeper_;  // from recover() on
  std::unique_ptr<native::Sandboxes> sandboxes_;  // from recover() on
  native::SeccompPrograms programs_;
  // Ended by recover(); their exits are not reported.
  std::set<std::string> unknown_;
};

}  // namespace berth::plugins
