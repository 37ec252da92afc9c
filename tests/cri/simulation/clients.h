// SPDX-License-Identifier: Apache-2.0
// The clients of one schedule: each makes one call after another, chosen by chance, and tells the
// model what it sends and what it is told.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "cri/node.h"
#include "tests/cri/simulation/model.h"
#include "tests/cri/simulation/world.h"

namespace berth::simulation {

// Names that clients use, so that they meet.
struct ClientOptions {
  unsigned pods = 1;
  unsigned containers = 2;
  unsigned calls = 8;       // of one client
  unsigned given_up = 10;   // percent of calls that their client does not wait for
  bool shared_pid = false;  // pods have one PID namespace
};

// A call under way, for the search of calls that hang.
struct CallUnderWay {
  const char* name;
  std::int64_t since_ns;
};

// What one client calls is the agent `node`'s.
class Clients {
 public:
  Clients(World& world, Model& model, cri::Node& node, SeededFaults& faults,
          const ClientOptions& options)
      : world_(world), model_(model), node_(node), faults_(faults), options_(options) {}

  // One client.
  Task<void> run();
  // Ends processes now and then, as programs do.
  Task<void> end_processes(unsigned count);
  // Stops and removes everything that is listed; calls that fail are repeated.
  Task<void> remove_everything();

  const std::list<CallUnderWay>& under_way() const { return under_way_; }

 private:
  template <typename Response>
  Task<Response> call(const char* name, Task<Response> task);

  Task<void> any_call();
  Task<void> run_pod();
  Task<void> create();
  Task<void> start(std::string id);
  Task<void> stop(std::string id);
  Task<void> remove(std::string id);
  Task<void> stop_pod(std::string id);
  Task<void> remove_pod(std::string id);
  Task<void> exec(std::string id);
  Task<void> status(std::string id);
  Task<void> list();

  std::string any_pod();
  std::string any_container();
  // False: the agent has died meanwhile, its answer says nothing.
  bool counts() const { return !faults_.frozen(); }

  World& world_;
  Model& model_;
  cri::Node& node_;
  SeededFaults& faults_;
  const ClientOptions& options_;
  std::list<CallUnderWay> under_way_;
};

}  // namespace berth::simulation
