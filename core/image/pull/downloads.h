// SPDX-License-Identifier: Apache-2.0
// Blobs from registries into the content store: each once at a time, in bounded memory. Private to
// this room.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/image/pull/context.h"
#include "core/image/pull/flights.h"
#include "core/image/pull/job.h"

namespace berth::image {

class Downloads {
 public:
  explicit Downloads(PullContext& context)
      : context_(context), blobs_(context.scope), memory_(context.memory.fetch) {}

  // The memory of one fetch.
  struct Memory {
    Budget::Share of_host;
    Budget::Share of_all;
  };
  Task<Memory> take_memory(JobPtr job);
  // Of all jobs that ask `domain`.
  std::shared_ptr<Budget> host_budget(const std::string& domain);

  Task<void> put_document(JobPtr job, Resolved::Document document);
  // Takes its own memory.
  Task<void> fetch_config(JobPtr job, oci::Descriptor blob);
  // The caller holds memory. Sets `arrival` and `started_event` of the layer.
  Task<void> fetch_layer(JobPtr job, std::size_t index);

 private:
  Task<void> put(Resolved::Document document);
  Task<void> run_config(JobPtr job, oci::Descriptor blob);
  Task<void> run_layer(JobPtr job, std::size_t index);

  PullContext& context_;
  Flights blobs_;
  std::map<std::string, std::shared_ptr<Arrival>> arrivals_;  // of layers in blobs_
  Budget memory_;
  std::map<std::string, std::weak_ptr<Budget>> hosts_;
};

}  // namespace berth::image
