// SPDX-License-Identifier: Apache-2.0
#include "bench/cri/rounds.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "bench/cri/clean.h"
#include "core/base/units.h"

namespace berth::bench {

namespace {

using cli::Client;
using cli::Images;
using cli::Runtime;

constexpr std::chrono::seconds kPullTimeout{600};
constexpr int kRoundsWithSeveral = 5;

// One endpoint and the connections of its workers, which are used in all rounds.
struct Side {
  EndpointRun run;
  std::vector<std::unique_ptr<Client>> clients;
};

Status pull_if_absent(Client& client, const std::string& image) {
  cri::ImageStatusRequest status;
  status.mutable_image()->set_image(image);
  TRY(const auto present, client.call(&Images::Stub::ImageStatus, status));
  if (present.has_image()) return {};
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(image);
  TRY_(client.call(&Images::Stub::PullImage, pull, kPullTimeout));
  return {};
}

Result<Side> open_side(const Plan& plan, std::size_t at) {
  Side side;
  side.run.endpoint = plan.endpoints[at];
  cri::VersionResponse version;
  for (int i = 0; i < plan.parallel; ++i) {
    side.clients.push_back(std::make_unique<Client>(plan.endpoints[at], kCallTimeout));
    // The first call connects, so that no pod's time includes it.
    TRY(version, side.clients.back()->call(&Runtime::Stub::Version, cri::VersionRequest()));
  }
  side.run.name = at < plan.names.size() ? plan.names[at] : version.runtime_name();
  side.run.runtime_version = version.runtime_version();
  TRY_(pull_if_absent(*side.clients.front(), plan.image));
  Plan warmup = plan;
  warmup.keep = false;
  for (int i = 0; i < plan.warmup; ++i) {
    TRY_(run_pod(*side.clients.front(), warmup, bench_pod(warmup, -1 - i)));
  }
  return side;
}

// The pods of one round; each worker takes the next one when it is free.
class Round {
 public:
  Round(const Plan& plan, Side& side, int pods) : plan_(plan), side_(side) {
    first_ = static_cast<int>(side.run.pods.size());
    side.run.pods.resize(side.run.pods.size() + static_cast<std::size_t>(pods));
    end_ = first_ + pods;
    next_ = first_;
  }

  Status run() {
    const std::int64_t begin_ns = monotonic_now_ns();
    std::vector<std::thread> workers;
    for (const auto& client : side_.clients) {
      workers.emplace_back([this, &client] { work(*client); });
    }
    for (std::thread& worker : workers) worker.join();
    side_.run.wall_ns += monotonic_now_ns() - begin_ns;
    if (failure_) return std::move(*failure_).with(side_.run.name);
    return {};
  }

 private:
  void work(Client& client) {
    for (int number = next_++; number < end_; number = next_++) {
      Result<PodTimes> times = run_pod(client, plan_, bench_pod(plan_, number));
      if (times.ok()) {
        side_.run.pods[static_cast<std::size_t>(number)] = times.value();
        continue;
      }
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!failure_) failure_ = std::move(times).error();
      next_ = end_;
      return;
    }
  }

  const Plan& plan_;
  Side& side_;
  int first_ = 0;
  int end_ = 0;
  std::atomic<int> next_ = 0;
  std::mutex mutex_;
  std::optional<Error> failure_;
};

// FNV-1a. The hash shows whether equal seeds led to equal work.
std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x100000001b3U;
}

Status run_rounds(const Plan& plan, std::vector<Side>& sides, std::uint64_t* work_hash) {
  const int wanted = plan.rounds > 0 ? plan.rounds : sides.size() > 1 ? kRoundsWithSeveral : 1;
  const int rounds = std::clamp(wanted, 1, std::max(1, plan.pods / plan.parallel));
  std::mt19937_64 random(plan.seed);
  std::vector<std::size_t> order(sides.size());
  std::iota(order.begin(), order.end(), 0U);
  for (int round = 0; round < rounds; ++round) {
    // Not std::shuffle, whose result differs between libraries.
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    const int pods = plan.pods * (round + 1) / rounds - plan.pods * round / rounds;
    for (const std::size_t at : order) {
      *work_hash = mixed(mixed(*work_hash, at), static_cast<std::uint64_t>(pods));
      TRY_(Round(plan, sides[at], pods).run());
    }
  }
  return {};
}

Result<BenchRun> run_sides(const Plan& plan) {
  std::vector<Side> sides;
  for (std::size_t at = 0; at < plan.endpoints.size(); ++at) {
    TRY(Side side, open_side(plan, at));
    sides.push_back(std::move(side));
  }
  BenchRun result;
  result.work_hash = 0xcbf29ce484222325U;
  TRY_(run_rounds(plan, sides, &result.work_hash));
  for (Side& side : sides) {
    if (plan.keep) TRY_(check_kept(*side.clients.front(), plan.pods));
    result.endpoints.push_back(std::move(side.run));
  }
  return result;
}

}  // namespace

Result<BenchRun> run_plan(const Plan& plan) {
  Result<BenchRun> result = run_sides(plan);
  if (result.ok()) return result;
  for (const std::string& endpoint : plan.endpoints) {
    Client client(endpoint, kCallTimeout);
    // The first error is reported, not that of clean.
    (void)clean(client);
  }
  return result;
}

}  // namespace berth::bench
