// SPDX-License-Identifier: Apache-2.0
// One schedule: a seed decides how many clients there are, what they call, which calls of the
// plugins wait or fail, when processes end and when the agent dies. At the end everything is
// removed and nothing may be left.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/cri/simulation/clients.h"
#include "tests/cri/simulation/model.h"
#include "tests/cri/simulation/place.h"
#include "tests/cri/simulation/simulated_agent.h"
#include "tests/cri/simulation/world.h"

namespace berth::simulation {

class Schedule {
 public:
  Schedule(Place& place, std::uint64_t seed);
  Schedule(const Schedule&) = delete;

  // Empty: every rule was kept. Otherwise the first that was not.
  std::string run();

 private:
  void choose();
  void start_agent();
  // Ends the agent as SIGKILL does: nothing that it still does has an effect.
  void kill_agent();
  void run_clients();
  void remove_everything();
  // Turns the loop until the task has ended, and watches the rules meanwhile.
  template <typename T>
  Result<T> drive(const char* what, Task<T> task);
  // False when the loop cannot go on.
  bool turn(const char* what);
  // Until only timers are left.
  void run_ready();
  // Ends the program: tasks that wait for ever cannot be taken apart.
  [[noreturn]] void give_up() const;
  bool failed() const { return !model_.violation().empty(); }

  Place& place_;
  const std::uint64_t seed_;
  World world_;
  Model model_;
  ClientOptions options_;
  FaultRates rates_;
  unsigned clients_count_ = 1;
  unsigned crashes_ = 0;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<Clients> clients_;
};

}  // namespace berth::simulation
