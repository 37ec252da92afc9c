// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <time.h>
#include <unistd.h>

#include <cstdio>

namespace berth {

void Log::write(LogLevel level, std::string_view room, std::string_view text) {
  if (!enabled(level)) return;
  constexpr const char* kNames[] = {"debug", "info", "warn", "error"};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char stamp[40];
  const size_t length = ::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + length, sizeof stamp - length, ".%06ldZ ", now.tv_nsec / 1000);
  std::string line = stamp;
  line += kNames[static_cast<int>(level)];
  line += ' ';
  line += room;
  line += ": ";
  // Containers and clients control some of this text: a control character must not forge a line.
  for (const char c : text) line += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
  line += '\n';
  const ssize_t ignored = ::write(fd_, line.data(), line.size());
  static_cast<void>(ignored);
}

}  // namespace berth
