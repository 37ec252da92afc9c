// SPDX-License-Identifier: Apache-2.0
// One agent's life over the World: fake plugins, the cri room and its scopes, built as cri/main.cc
// builds them.
#pragma once

#include <memory>

#include "cri/node.h"
#include "cri/reconcile/reconcile.h"
#include "tests/cri/simulation/fake_sources.h"
#include "tests/cri/simulation/place.h"
#include "tests/cri/simulation/world.h"
#include "tests/support/fakes/handler.h"

namespace berth::simulation {

class Agent {
 public:
  Agent(Place& place, World& world);
  Agent(const Agent&) = delete;

  // Reconciles. Afterwards is_up() unless that failed.
  Task<cri::ReconcileReport> start();
  // Ends everything that runs; awaited before the destructor.
  Task<void> end();

  bool is_up() const { return up_; }
  cri::Node& node() { return *node_; }
  SeededFaults& faults() { return faults_; }

 private:
  SeededFaults faults_;
  fakes::FakeHandler handler_;
  fakes::FakeResources resources_;
  fakes::FakeNetwork pod_network_;
  fakes::FakeNetwork host_network_;
  fakes::FakeSnapshotter snapshotter_;
  FakeSandboxFiles sandbox_files_;
  FakeSources sources_;
  cri::Handlers handlers_;
  cri::Networks networks_;
  cri::Pods pods_;
  Scope attempts_;
  Scope watch_;
  std::unique_ptr<cri::Node> node_;
  bool up_ = false;
};

}  // namespace berth::simulation
