// SPDX-License-Identifier: Apache-2.0
// The built-in runtime handler: berth's own launch plan and keeper, no OCI command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/keeper/client.h"
#include "plugins/api/runtime_handler.h"

namespace berth::plugins {

class NativeRuntime final : public RuntimeHandler {
 public:
  // `keeper` outlives the handler. Pods' namespaces are held by it directly (hold, drop, held).
  explicit NativeRuntime(keeper::KeeperClient& keeper) : keeper_(keeper) {}

  std::string_view name() const override { return "native"; }
  Task<Recovered> recover() override;
  Task<Launched> launch(LaunchRequest request) override;
  Task<Launched> exec(ExecRequest request) override;
  Task<void> signal(std::string container_id, int signal_number) override;
  Task<void> reopen_log(std::string container_id, UniqueFd log_file) override;
  Task<Exit> next_exit() override;
  Task<void> remove(std::string container_id) override;

  // Beyond the contract: the first process of a pod whose containers share a PID namespace. It is
  // removed, signalled and reported like a container. SIGTERM ends it.
  struct PodInitRequest {
    std::string pod_id;
    oci::Namespaces namespaces;
    Placement placement;
    int oom_score_adj = 0;
  };
  Task<Launched> launch_pod_init(PodInitRequest request);
  // The pod inits that live.
  std::vector<Living> pod_inits() const;
  // A descriptor for attach: the write end of stdin or the terminal's master, borrowed until the
  // container is removed; -1: none.
  int stdin_of(const std::string& container_id) const;

 private:
  Task<Launched> order(keeper::LaunchOrder order);

  keeper::KeeperClient& keeper_;
};

}  // namespace berth::plugins
