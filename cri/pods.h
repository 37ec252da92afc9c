// SPDX-License-Identifier: Apache-2.0
// The sandboxes and containers of this node, in memory: list calls answer from them. Everything
// else is read from the records when it is needed. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/oci/spec.h"
#include "core/task/event.h"
#include "core/task/shared.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/stages.h"
#include "cri/state/record.pb.h"
#include "plugins/api/resources.h"
#include "plugins/api/runtime_handler.h"

namespace berth::cri {

struct Sandbox {
  // The answer of ListPodSandbox but for its state, which follows `phase`.
  runtime::v1::PodSandbox item;
  state::v1::SandboxPhase phase = state::v1::SANDBOX_CREATING;
  // Its init or a namespace is gone: no container can be started in it, whatever the record says.
  bool broken = false;
  plugins::SandboxNamespaces namespaces;
  UniqueFd tmpfs;  // detached: cri/sandbox/files.h
  std::vector<std::string> container_ids;
  Mutex lock;  // serialises run, stop, remove of the pod and create, start of its containers
  std::unique_ptr<Stages> run_stages;

  const std::string& id() const { return item.id(); }
  // The name for Handlers.
  const std::string& handler() const { return item.runtime_handler(); }
  bool ready() const { return phase == state::v1::SANDBOX_READY && !broken; }
};

// What CreateContainer resolved and stored, kept for the StartContainer that follows. Whoever
// changes the record of a created container drops it.
struct Prepared {
  state::v1::SandboxRecord pod;
  state::v1::ContainerRecord record;
  std::optional<oci::Spec> spec;  // none: it is loaded from the record
};

struct Container {
  runtime::v1::Container item;
  state::v1::ContainerPhase phase = state::v1::CONTAINER_CREATING;
  std::shared_ptr<Sandbox> sandbox;
  // From create to start; made or loaded again when the agent restarted in between.
  UniqueFd rootfs;  // a detached mount
  std::optional<plugins::Placement> placement;
  std::unique_ptr<Prepared> prepared;
  int pid = 0;
  std::string log_path;
  std::optional<plugins::Exit> early_exit;  // ended before its launch was on record
  Event ended;                              // set when the process has ended and the record says so
  std::unique_ptr<Stages> create_stages;
  std::unique_ptr<Stages> start_stages;

  const std::string& id() const { return item.id(); }
  bool running() const { return phase == state::v1::CONTAINER_RUNNING; }
};

// A process that ExecSync waits for.
struct ExecWait {
  Event ended;
  std::optional<int> exit_code;
};

using Attempt = std::shared_ptr<Shared<std::string>>;

class Pods {
 public:
  std::shared_ptr<Sandbox> sandbox(std::string_view id) const;
  std::shared_ptr<Container> container(std::string_view id) const;
  // not_found that names the field.
  Result<std::shared_ptr<Sandbox>> need_sandbox(std::string_view field, std::string_view id) const;
  Result<std::shared_ptr<Container>> need_container(std::string_view field,
                                                    std::string_view id) const;

  // The key under which a repeated request finds the first one.
  static std::string name_of(const runtime::v1::PodSandboxMetadata& metadata);
  static std::string name_of(std::string_view sandbox_id,
                             const runtime::v1::ContainerMetadata& metadata);
  std::shared_ptr<Sandbox> sandbox_by_name(const std::string& name) const;
  std::shared_ptr<Container> container_by_name(const std::string& name) const;

  void add(std::shared_ptr<Sandbox> sandbox);
  void add(std::shared_ptr<Container> container);
  void remove(const Sandbox& sandbox);
  void remove(const Container& container);

  const std::map<std::string, std::shared_ptr<Sandbox>, std::less<>>& sandboxes() const {
    return sandboxes_;
  }
  const std::map<std::string, std::shared_ptr<Container>, std::less<>>& containers() const {
    return containers_;
  }

  // Running attempts by name; the entry goes when the attempt ends.
  std::unordered_map<std::string, Attempt> attempts;
  // Running execs by exec id; the entry is the waiting call's.
  std::unordered_map<std::string, ExecWait*> execs;

 private:
  std::map<std::string, std::shared_ptr<Sandbox>, std::less<>> sandboxes_;
  std::map<std::string, std::shared_ptr<Container>, std::less<>> containers_;
  std::unordered_map<std::string, std::string> sandbox_names_;
  std::unordered_map<std::string, std::string> container_names_;
};

// The object in memory of a record, without descriptors and processes.
std::shared_ptr<Sandbox> new_sandbox(const state::v1::SandboxRecord& record);
std::shared_ptr<Container> new_container(const state::v1::ContainerRecord& record,
                                         std::shared_ptr<Sandbox> sandbox);

}  // namespace berth::cri
