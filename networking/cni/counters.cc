// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/counters.h"

#include <fcntl.h>
#include <sched.h>

#include <cstdint>
#include <sstream>

#include "core/linux/namespace.h"
#include "core/linux/openat2.h"

namespace berth::networking::cni {

Result<std::optional<plugins::NetworkCounters>> read_counters(int netns,
                                                              const std::string& ifname) {
  TRY(const sys::NamespaceVisit visit, sys::NamespaceVisit::enter(netns, CLONE_NEWNET));
  TRY(const std::string text, sys::read_small_file(AT_FDCWD, "/proc/thread-self/net/dev"));
  std::optional<plugins::NetworkCounters> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line.compare(begin, ifname.size() + 1, ifname + ":") != 0) {
      continue;
    }
    std::istringstream numbers(line.substr(begin + ifname.size() + 1));
    std::uint64_t ignored = 0;
    plugins::NetworkCounters counters;
    numbers >> counters.rx_bytes >> counters.rx_packets >> counters.rx_errors >>
        counters.rx_dropped >> ignored >> ignored >> ignored >> ignored >> counters.tx_bytes >>
        counters.tx_packets >> counters.tx_errors >> counters.tx_dropped;
    found = counters;
  }
  return found;
}

}  // namespace berth::networking::cni
