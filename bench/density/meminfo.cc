// SPDX-License-Identifier: Apache-2.0
#include "bench/density/meminfo.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "bench/density/must.h"

namespace floor_bench {

static void sleep_ms(long milliseconds) {
  timespec pause{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  nanosleep(&pause, nullptr);
}

static long available_kib(int fd) {
  char text[4096];
  const ssize_t size = must(pread(fd, text, sizeof text - 1, 0), "read /proc/meminfo");
  text[size] = '\0';
  const char* line = std::strstr(text, "MemAvailable:");
  return line == nullptr ? must(-1L, "find MemAvailable") : std::atol(line + 13);
}

static Available window(int fd) {
  std::array<long, 9> readings;
  for (long& reading : readings) {
    sleep_ms(100);
    reading = available_kib(fd);
  }
  std::sort(readings.begin(), readings.end());
  return {.kib = readings[readings.size() / 2], .spread = readings.back() - readings.front()};
}

Available settled_available(int fd) {
  const int windows_max = 12;
  const long still_kib = 256;
  sleep_ms(1000);
  Available last = window(fd);
  for (int count = 1; count < windows_max; ++count) {
    const Available next = window(fd);
    const long moved = std::labs(next.kib - last.kib);
    last = next;
    if (moved <= still_kib && next.spread <= still_kib) break;
  }
  return last;
}

}  // namespace floor_bench
