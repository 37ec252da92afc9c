// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/flights.h"

#include <utility>

namespace berth::image {

Flights::FlightPtr Flights::find(const std::string& key) const {
  const auto found = flights_.find(key);
  return found == flights_.end() ? nullptr : found->second;
}

Task<void> Flights::join_owned(CancelContext& pull, std::string key, Start start) {
  while (true) {
    const FlightPtr other = find(key);
    if (other == nullptr) break;
    Result<void> outcome = co_await under(pull, other->attempt->wait()).result();
    if (outcome.ok()) co_return;
    if (pull.cancelled()) co_await std::move(outcome);
  }
  const FlightPtr ours = begin(std::move(key), std::move(start));
  co_await ours->attempt->wait();
}

Task<void> Flights::join_shared(CancelContext& pull, std::string key, Start start) {
  while (true) {
    FlightPtr other = find(key);
    if (other == nullptr) break;
    Result<void> outcome = co_await wait_for(pull, std::move(other)).result();
    if (outcome.ok()) co_return;
    if (pull.cancelled()) co_await std::move(outcome);
  }
  co_await wait_for(pull, begin(std::move(key), std::move(start)));
}

// The last pull to leave ends the work and waits until it has ended: nothing may arrive for a pull
// that is over.
Task<void> Flights::wait_for(CancelContext& pull, FlightPtr flight) {
  ++flight->waiters;
  Result<void> outcome = co_await under(pull, flight->attempt->wait()).result();
  const bool last = --flight->waiters == 0;
  if (last && !flight->attempt->ended()) {
    flight->cancel.cancel();
    outcome = co_await flight->attempt->wait().result();
  }
  co_await std::move(outcome);
}

Flights::FlightPtr Flights::begin(std::string key, Start start) {
  auto flight = std::make_shared<Flight>();
  flight->attempt = Shared<void>::start(scope_, drive(key, flight, start()));
  // A closed scope has destroyed the work unstarted, so drive() would never erase the entry.
  if (!flight->attempt->ended()) flights_.emplace(std::move(key), flight);
  return flight;
}

Task<void> Flights::drive(std::string key, FlightPtr flight, Task<void> work) {
  Result<void> outcome = co_await under(flight->cancel, std::move(work)).result();
  flights_.erase(key);
  co_await std::move(outcome);
}

}  // namespace berth::image
