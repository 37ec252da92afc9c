// SPDX-License-Identifier: Apache-2.0
// Everything that outlives the agent of one schedule: processes, cgroups, network attachments,
// snapshots, files of pods, and the records.
#pragma once

#include <set>
#include <string>

#include "core/store/state.h"
#include "tests/cri/simulation/chance.h"
#include "tests/support/fakes/machine.h"
#include "tests/support/fakes/network.h"
#include "tests/support/fakes/resources.h"
#include "tests/support/fakes/snapshotter.h"

namespace berth::simulation {

struct World {
  World(Ring& ring_of, store::State& state_of, std::uint64_t seed)
      : ring(ring_of),
        state(state_of),
        chance(seed),
        own_faults(ring, chance, rates),
        machine(ring, own_faults) {}
  World(const World&) = delete;

  Ring& ring;
  store::State& state;
  Chance chance;
  FaultRates rates{};
  SeededFaults own_faults;  // of processes, which no agent's death stops
  fakes::Machine machine;
  fakes::Cgroups cgroups;
  fakes::Attachments attachments;
  fakes::Attachments host_attachments;
  fakes::Snapshots snapshots;
  std::set<std::string> pod_files;
  std::set<std::string> image_volumes;
};

}  // namespace berth::simulation
