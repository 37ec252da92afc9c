// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/holds.h"

#include <errno.h>

namespace berth::keeper {

void Holds::hold(Incoming& message, const NameBody& body) noexcept {
  const Header& header = message.header();
  const int count = message.fd_count();
  if (count < 1 || count > kHeldFdsMax) {
    return agent_.refuse(header.request, header.type, EINVAL, "hold", "1 to 8 descriptors");
  }
  const std::uint32_t known = table_.find_held(body.name.view());
  Result<std::uint32_t> made = table_.allocate();
  if (!made.ok()) {
    return agent_.refuse(header.request, header.type, made.error().sys_errno,
                         made.error().op.c_str(), "keeper.table");
  }
  if (known != kNoEntry) drop_entry(known);
  Entry& entry = table_.at(*made);
  entry.name = body.name;
  for (int i = 0; i < count; ++i) entry.held[i] = message.take_fd(i).release();
  entry.held_count = static_cast<std::uint8_t>(count);
  table_.publish(*made, EntryState::held);
  agent_.answer(header.request, header.type);
}

void Holds::drop(const NameBody& body) noexcept {
  const std::uint32_t held = table_.find_held(body.name.view());
  if (held != kNoEntry) drop_entry(held);
}

void Holds::drop_entry(std::uint32_t index) noexcept {
  const Entry entry = table_.at(index);
  table_.free(index);
  for (int i = 0; i < entry.held_count; ++i) UniqueFd closed(entry.held[i]);
}

}  // namespace berth::keeper
