// SPDX-License-Identifier: Apache-2.0
// memory.limit_in_bytes, memory.memsw.limit_in_bytes | memory.max, memory.swap.max.
#include "plugins/resources/policy.h"

namespace berth::plugins {
namespace {

// The kernel counts pages; a limit below one page is a mistake.
constexpr std::int64_t kLimitMinBytes = 4096;

std::string v1_bytes(std::int64_t bytes) {
  return std::to_string(bytes);
}
std::string v2_bytes(std::int64_t bytes) {
  return bytes < 0 ? "max" : std::to_string(bytes);
}

}  // namespace

Status validate_memory(const Resources& resources) {
  const std::int64_t limit = resources.memory_limit_in_bytes;
  const std::int64_t swap = resources.memory_swap_limit_in_bytes;
  if (limit < -1) {
    return field_error("memory_limit_in_bytes", std::to_string(limit),
                       "negative, and not -1 for no limit");
  }
  if (limit > 0 && limit < kLimitMinBytes) {
    return field_error("memory_limit_in_bytes", std::to_string(limit), "less than one page");
  }
  if (swap < -1) {
    return field_error("memory_swap_limit_in_bytes", std::to_string(swap),
                       "negative, and not -1 for no limit");
  }
  if (swap > 0 && limit == 0) {
    return field_error("memory_swap_limit_in_bytes", std::to_string(swap),
                       "is memory plus swap and needs memory_limit_in_bytes");
  }
  if (swap > 0 && (limit < 0 || swap < limit)) {
    return field_error("memory_swap_limit_in_bytes", std::to_string(swap),
                       "is memory plus swap and less than memory_limit_in_bytes");
  }
  return {};
}

std::vector<ControlWrite> memory_v1(const Resources& resources, const CurrentLimits& current) {
  const std::int64_t limit = resources.memory_limit_in_bytes;
  const std::int64_t swap = resources.memory_swap_limit_in_bytes;
  std::vector<ControlWrite> writes;
  if (limit != 0) writes.push_back({"memory.limit_in_bytes", v1_bytes(limit)});
  // No memory limit at all means that memory plus swap has none either: the kernel wants memsw >=
  // limit.
  const std::int64_t both = limit == -1 && swap == 0 ? -1 : swap;
  if (both == 0) return writes;
  // memory.limit_in_bytes <= memory.memsw.limit_in_bytes holds at every moment: going up, the sum
  // goes first.
  const bool up = !current.fresh && (limit == -1 || limit > current.memory_limit_in_bytes);
  writes.insert(up ? writes.begin() : writes.end(),
                ControlWrite{"memory.memsw.limit_in_bytes", v1_bytes(both), true});
  return writes;
}

std::vector<ControlWrite> memory_v2(const Resources& resources) {
  const std::int64_t limit = resources.memory_limit_in_bytes;
  const std::int64_t swap = resources.memory_swap_limit_in_bytes;
  std::vector<ControlWrite> writes;
  // v2 counts swap by itself. It goes first, so that lowering memory.max does not push pages into
  // swap that was about to be forbidden.
  if (swap == -1) writes.push_back({"memory.swap.max", "max", true});
  if (swap > 0) writes.push_back({"memory.swap.max", v2_bytes(swap - limit), true});
  if (limit == -1 && swap == 0) writes.push_back({"memory.swap.max", "max", true});
  if (limit != 0) writes.push_back({"memory.max", v2_bytes(limit)});
  return writes;
}

}  // namespace berth::plugins
