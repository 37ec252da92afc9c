// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/schedule.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "tests/cri/simulation/store_faults.h"
#include "tests/cri/simulation/virtual_clock.h"

namespace berth::simulation {

namespace {

// No call may take longer, whatever fails and waits: the limits of cri are 60 s and less.
constexpr std::int64_t kLongestCallNs = 600 * kNanosecondsPerSecond;
// Of one task of the driver; a loop that turns for ever is a call that hangs.
constexpr unsigned kTurnsMax = 200'000;

Task<void> run_all(Ring& ring, Clients& clients, unsigned count, unsigned ends) {
  Scope beside(ring.ready(), nullptr);
  for (unsigned i = 0; i < count; ++i) beside.spawn(clients.run());
  beside.spawn(clients.end_processes(ends));
  co_await beside.close();
}

}  // namespace

Schedule::Schedule(Place& place, std::uint64_t seed)
    : place_(place), seed_(seed), world_(*place.ring, *place.state, seed), model_(world_) {
  seed_virtual_chance(seed);
  place_.clear_records();
  const std::string layer = place_.layer();
  world_.snapshots[layer] = {.name = layer,
                             .parent = {},
                             .kind = plugins::SnapshotKind::committed,
                             .created_at_ns = realtime_now_ns()};
  choose();
}

void Schedule::choose() {
  Chance& chance = world_.chance;
  options_.pods = 1 + static_cast<unsigned>(chance.pick(2));
  options_.containers = 1 + static_cast<unsigned>(chance.pick(3));
  options_.calls = 4 + static_cast<unsigned>(chance.pick(12));
  options_.given_up = chance.percent(50) ? 0 : 15;
  options_.shared_pid = chance.percent(30);
  clients_count_ = 1 + static_cast<unsigned>(chance.pick(4));
  crashes_ = chance.percent(50) ? 0 : 1 + static_cast<unsigned>(chance.pick(2));
  rates_.wait = chance.percent(10) ? 0 : 60;
  if (chance.percent(50)) rates_.error = 1 + static_cast<unsigned>(chance.pick(8));
  if (chance.percent(40)) rates_.lost_answer = 1 + static_cast<unsigned>(chance.pick(5));
  if (chance.percent(30)) rates_.lost_exit_code = 20;
  if (chance.percent(30)) rates_.store = 1 + static_cast<unsigned>(chance.pick(5));
}

bool Schedule::turn(const char* what) {
  place_.ring->turn(true);
  if (agent_ != nullptr && !agent_->faults().frozen()) model_.observe(agent_->node());
  if (place_.backend->take_stalled()) {
    std::string calls;
    if (clients_ != nullptr) {
      for (const CallUnderWay& call : clients_->under_way()) calls += std::string(" ") + call.name;
    }
    model_.violated(std::string(what) + " waits for ever; calls under way:" + calls);
    return false;
  }
  if (clients_ == nullptr) return true;
  for (const CallUnderWay& call : clients_->under_way()) {
    if (monotonic_now_ns() - call.since_ns > kLongestCallNs) {
      model_.violated(std::string(call.name) + " takes more than ten minutes");
      return false;
    }
  }
  return true;
}

template <typename T>
Result<T> Schedule::drive(const char* what, Task<T> task) {
  RootTask<T> root(place_.ring->ready(), std::move(task));
  unsigned turns = 0;
  while (!root.done()) {
    const bool goes_on = turn(what) && ++turns < kTurnsMax;
    if (goes_on) continue;
    if (turns >= kTurnsMax) model_.violated(std::string(what) + " does not end");
    give_up();
  }
  return root.take();
}

void Schedule::give_up() const {
  std::fprintf(stderr, "BERTH_SIMULATION_SEED=%llu: %s\n", static_cast<unsigned long long>(seed_),
               model_.violation().c_str());
  std::fflush(stderr);
  ::_exit(1);
}

void Schedule::run_ready() {
  for (int i = 0; i < 64; ++i) place_.ring->turn(false);
}

void Schedule::start_agent() {
  agent_ = std::make_unique<Agent>(place_, world_);
  set_store_fault([this]() { return agent_->faults().fails_commit(); });
  Result<cri::ReconcileReport> report = drive("reconcile", agent_->start());
  const bool met_faults = world_.rates.error + world_.rates.lost_answer + world_.rates.store > 0;
  if (!report.ok()) {
    if (!met_faults) model_.violated("reconcile: " + report.error().message());
    return;
  }
  run_ready();
  if (met_faults) return;
  for (const std::string& line : report->failed) model_.violated("reconcile failed: " + line);
  model_.agrees(agent_->node());
}

void Schedule::kill_agent() {
  agent_->faults().freeze();
  static_cast<void>(drive("the end of the agent", agent_->end()));
  clients_.reset();
  set_store_fault(nullptr);
  agent_.reset();
}

void Schedule::run_clients() {
  clients_ = std::make_unique<Clients>(world_, model_, agent_->node(), agent_->faults(), options_);
  const unsigned ends = static_cast<unsigned>(world_.chance.pick(12));
  Scope running(place_.ring->ready(), nullptr);
  running.spawn(run_all(*place_.ring, *clients_, clients_count_, ends));
  const bool dies = crashes_ > 0;
  // A moment counted in turns of the loop, so that it falls between any two steps.
  const std::uint64_t turns = dies ? 1 + world_.chance.pick(400) : ~std::uint64_t{0};
  for (std::uint64_t i = 0; i < turns && running.size() > 0; ++i) {
    if (!turn("a client")) give_up();
  }
  if (dies) {
    agent_->faults().freeze();
    running.cancel();
  }
  const auto close = [](Scope& scope) -> Task<void> { co_await scope.close(); };
  static_cast<void>(drive("the clients", close(running)));
  if (agent_->faults().frozen()) return;
  // Ends are handled one after the other, and each may meet slow calls.
  constexpr std::int64_t kEndsMs = 60'000;  // more than every limit of a stop
  const auto pause = [](Ring& ring) -> Task<void> {
    co_await ring.sleep_until(Deadline::after_ms(kEndsMs));
  };
  static_cast<void>(drive("the ends", pause(*place_.ring)));
  model_.inits_agree(agent_->node());
}

void Schedule::remove_everything() {
  world_.rates = FaultRates();
  kill_agent();
  start_agent();
  if (failed()) return;
  ClientOptions patient = options_;
  patient.given_up = 0;
  clients_ = std::make_unique<Clients>(world_, model_, agent_->node(), agent_->faults(), patient);
  static_cast<void>(drive("the removal of everything", clients_->remove_everything()));
  run_ready();
  if (!failed()) model_.nothing_is_left(agent_->node());
  kill_agent();
  if (failed()) return;
  agent_ = std::make_unique<Agent>(place_, world_);
  Result<cri::ReconcileReport> report = drive("the last reconcile", agent_->start());
  if (!report.ok()) model_.violated("the last reconcile: " + report.error().message());
  if (report.ok() && !report->mended.empty()) {
    model_.violated("the last reconcile mended: " + report->mended.front());
  }
  kill_agent();
}

std::string Schedule::run() {
  start_agent();
  for (;;) {
    world_.rates = rates_;
    if (!failed()) run_clients();
    if (crashes_ == 0 || failed()) break;
    --crashes_;
    kill_agent();
    // Half of the new agents meet faults while they reconcile; one that fails is followed by
    // another.
    if (world_.chance.percent(50)) world_.rates = FaultRates();
    start_agent();
    if (!agent_->is_up()) {
      world_.rates = FaultRates();
      kill_agent();
      start_agent();
    }
  }
  if (!failed()) {
    remove_everything();
  } else {
    kill_agent();
  }
  static_cast<void>(drive("the machine", world_.machine.close()));
  return model_.violation();
}

}  // namespace berth::simulation
