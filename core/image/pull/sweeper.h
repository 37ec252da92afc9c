// SPDX-License-Identifier: Apache-2.0
// A sweep removes blobs and layers that neither a record nor a lease names: leftovers of pulls that
// failed or were killed, and of images that were removed.
//
// Invariant: no lease is taken while a sweep runs, so a blob found under a lease stays. A sweep of
// lost files (durability.h) ignores leases and needs every pull to have ended.
// Private to this room.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/image/pull/context.h"
#include "core/image/pull/durability.h"
#include "core/image/pull/job.h"
#include "core/image/pull/leases.h"
#include "core/task/event.h"

namespace berth::image {

class Sweeper {
 public:
  Sweeper(PullContext& context, Leases& leases, const RunningPulls& pulls, Durability& durability)
      : context_(context), leases_(leases), pulls_(pulls), durability_(durability) {}

  // One sweep at a time. While everything is leased, or files are lost and pulls run, it does
  // nothing and is requested for later.
  Task<void> sweep();
  // The same; a failure is logged, since the next sweep tries again.
  Task<void> sweep_logged();
  // Ends when no sweep runs.
  Task<void> wait();

  // A sweep is due: after the running pull, or after the last lease of everything.
  void request() noexcept { requested_ = true; }
  bool requested() const noexcept { return requested_; }

  // Adds to the lease of a running pull; cancelled with the pull.
  Task<void> lease(JobPtr job, std::vector<std::string> keys);
  // Leases beside those of pulls. Call add_lease() with no sweep running. The last remove_lease()
  // starts a sweep that was requested meanwhile, or that kept something for a lease.
  void add_lease(bool everything) noexcept;
  void remove_lease(bool everything);

 private:
  Task<void> run(bool lost);
  Task<void> remove_layers(const std::set<std::string>& leased);
  Status remove_blobs(const std::set<std::string>& leased, bool alone);

  PullContext& context_;
  Leases& leases_;
  const RunningPulls& pulls_;
  Durability& durability_;
  bool running_ = false;
  Event ended_;
  bool requested_ = false;
  bool after_leases_ = false;  // the last sweep ran beside leases
  unsigned leased_ = 0;
  unsigned leased_everything_ = 0;
};

}  // namespace berth::image
