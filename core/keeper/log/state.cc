// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/state.h"

namespace berth::keeper {
namespace {

constexpr std::size_t kOutBytes = kRawBytesMax + 4096;
static_assert(kOutBytes >= kRawBytesMax + kRecordOverhead);

}  // namespace

Status LogState::open() {
  constexpr sys::Mmap::Options kMemory{.protection = PROT_READ | PROT_WRITE,
                                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
  TRY(flows_, sys::Mmap::create(-1, sizeof(LogFlow) * kEntriesMax, kMemory, "log flows"));
  TRY(out_, sys::Mmap::create(-1, kOutBytes * kLogSlots, kMemory, "log buffers"));
  return {};
}

std::span<char> LogState::out(std::uint32_t slot) noexcept {
  return {reinterpret_cast<char*>(out_.data()) + kOutBytes * slot, kOutBytes};
}

}  // namespace berth::keeper
