// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/simulated_agent.h"

#include <utility>

namespace berth::simulation {

Agent::Agent(Place& place, World& world)
    : faults_(world.ring, world.chance, world.rates),
      handler_(world.machine, faults_),
      resources_(world.cgroups, world.machine, faults_),
      pod_network_("fake", world.attachments, faults_),
      host_network_(cri::kHostNetwork, world.host_attachments, faults_),
      snapshotter_(world.snapshots, faults_),
      sandbox_files_(world.pod_files, faults_),
      sources_(faults_),
      attempts_(world.ring.ready(), nullptr),
      watch_(world.ring.ready(), nullptr) {
  networks_.add(pod_network_);
  networks_.add(host_network_);
  const Status added =
      handlers_.add({.name = "fake", .runtime = &handler_, .chosen_network = &pod_network_});
  CHECK(added.ok());
  node_.reset(new cri::Node{.ring = world.ring,
                            .log = place.log,
                            .layout = place.layout,
                            .state = world.state,
                            .snapshotter = snapshotter_,
                            .resources = resources_,
                            .handlers = handlers_,
                            .networks = networks_,
                            .sandbox_files = sandbox_files_,
                            .sources = sources_,
                            .mount_features = place.mount_features,
                            .content = *place.content,
                            .images = *place.images,
                            .puller = *place.puller,
                            .attempts = attempts_,
                            .pods = pods_,
                            .quiet = *place.quiet});
}

Task<cri::ReconcileReport> Agent::start() {
  cri::ReconcileReport report = co_await cri::reconcile(*node_, watch_);
  up_ = true;
  co_return report;
}

Task<void> Agent::end() {
  watch_.cancel();
  co_await watch_.close();
  attempts_.cancel();
  co_await attempts_.close();
  co_await handler_.close();
}

}  // namespace berth::simulation
