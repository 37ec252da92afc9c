// SPDX-License-Identifier: Apache-2.0
// Lives: of each entry of the table, what a re-execution and a crash may forget. Beside the table
// in a mapping of its own whose pages are there only once they are written.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/result.h"
#include "core/keeper/table.h"
#include "core/linux/mmap.h"

namespace berth::keeper {

// Messages about an entry that are to be sent to the agent; bits of Life::say.
enum Say : std::uint8_t {
  kSayLaunched = 1,
  kSayLaunchFailed = 2,
  kSayReopened = 4,
  kSayExit = 8,
  kSayReapPlease = 16,
  kSayForgotten = 32,
};

struct Life {
  std::uint64_t launch_request;
  std::uint64_t reopen_request;
  std::uint64_t forget_request;
  std::int32_t channel;  // 1 + the launch report's descriptor; 0: none
  std::int32_t launch_errno;
  std::uint32_t next;  // in the queue of entries with something to say
  std::uint8_t say;    // Say
  std::uint8_t queued;
  std::uint8_t ready;       // the child said that the exec comes next
  std::uint8_t helper;      // pid is a helper's that will report the real one
  std::uint8_t exit_waits;  // for its output to be logged before the exit is reported
  std::uint8_t forgetting;
  std::uint8_t kept;  // adopted, in the handover that is going on
  std::uint8_t exit_tries;
  std::uint64_t stage_ns[6];
};

class Lives {
 public:
  Status open() {
    constexpr sys::Mmap::Options kMemory{.protection = PROT_READ | PROT_WRITE,
                                         .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
    TRY(memory_, sys::Mmap::create(-1, sizeof(Life) * kEntriesMax, kMemory, "keeper lives"));
    return {};
  }
  Life& at(std::uint32_t entry) noexcept {
    return *(reinterpret_cast<Life*>(memory_.data()) + entry);
  }

 private:
  sys::Mmap memory_;
};

}  // namespace berth::keeper
