// SPDX-License-Identifier: Apache-2.0
// The status of a network, for those who implement plugins/api/network.h: it counts the generation
// and wakes the tasks that wait for a change. The network owns one. Loop thread only.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>

#include "core/task/event.h"
#include "core/task/task.h"
#include "plugins/api/network.h"

namespace berth::plugins {

class NetworkCondition {
 private:
  static auto members(const NetworkStatus& of) {
    return std::tie(of.ready, of.configured, of.is_reachable, of.reason, of.message);
  }

 public:
  explicit NetworkCondition(NetworkStatus status) : status_(std::move(status)) {}

  const NetworkStatus& status() const { return status_; }

  // Wakes the waiters if a member differs; `generation` of the argument is ignored.
  void set(NetworkStatus status) {
    if (members(status) == members(status_)) return;
    status.generation = status_.generation + 1;
    status_ = std::move(status);
    woken_.set();
    woken_.reset();
  }

  // Network::status_changed.
  Task<void> changed(std::uint64_t seen) {
    while (!closed_ && status_.generation == seen) co_await woken_.wait();
    if (closed_) co_await fail(Errc::cancelled, "the network was closed");
  }

  // Ends all waits, those that come later too, with Errc::cancelled.
  void close() {
    closed_ = true;
    woken_.set();
  }

 private:
  NetworkStatus status_;
  Event woken_;
  bool closed_ = false;
};

}  // namespace berth::plugins
