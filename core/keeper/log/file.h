// SPDX-License-Identifier: Apache-2.0
// What the log pump asks of a log: which file it is, how long, and on which filesystem, and how it
// must be written. Never waits for a server: what the kernel knows already is enough, since the
// keeper alone writes there.
#pragma once

#include <cstdint>
#include <optional>

namespace berth::keeper {

struct LogFile {
  std::uint64_t inode = 0;
  std::int64_t size = 0;     // bytes
  std::uint32_t device = 0;  // of the filesystem, never 0
};

// Nothing: `fd` is none, or cannot be looked at.
std::optional<LogFile> look_at_log(int fd) noexcept;

// Whether the file has an operation for poll(2), which on FUSE asks the server. This function asks
// no server.
bool can_poll(int fd) noexcept;

}  // namespace berth::keeper
