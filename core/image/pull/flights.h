// SPDX-License-Identifier: Apache-2.0
// Work by key (a digest, a chain id), done once at a time however many pulls need it.
//
//   join_shared   the work goes on while any pull needs it; the last pull to leave ends it
//   join_owned    the work belongs to the pull that started it and ends with that pull
//
// When work that a pull waited for fails, that pull does the work itself: the reason may lie in the
// other pull alone (its credentials, its cancellation). A cancelled pull stops waiting for others.
// The loop's thread only. The scope is closed before the Flights die.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/task/cancel.h"
#include "core/task/scope.h"
#include "core/task/shared.h"
#include "core/task/task.h"

namespace berth::image {

class Flights {
 public:
  using Start = std::function<Task<void>()>;

  explicit Flights(Scope& scope) : scope_(scope) {}
  Flights(const Flights&) = delete;

  // `start` is called at most once, and before the returned task ends.
  Task<void> join_shared(CancelContext& pull, std::string key, Start start);
  Task<void> join_owned(CancelContext& pull, std::string key, Start start);
  bool running(const std::string& key) const { return flights_.count(key) != 0; }

 private:
  struct Flight {
    std::shared_ptr<Shared<void>> attempt;
    CancelContext cancel;
    unsigned waiters = 0;
  };
  using FlightPtr = std::shared_ptr<Flight>;

  FlightPtr find(const std::string& key) const;
  FlightPtr begin(std::string key, Start start);
  Task<void> drive(std::string key, FlightPtr flight, Task<void> work);
  static Task<void> wait_for(CancelContext& pull, FlightPtr flight);

  Scope& scope_;
  std::map<std::string, FlightPtr> flights_;
};

}  // namespace berth::image
