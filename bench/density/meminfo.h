// SPDX-License-Identifier: Apache-2.0
// How much memory the machine could still give, as the kernel itself reckons it.
#pragma once

namespace floor_bench {

struct Available {
  long kib;     // the median of nine readings of MemAvailable over about two seconds
  long spread;  // between the least and the most of them: what others on the machine do to it
};

// Reads `fd`, an open /proc/meminfo, after a pause that lets the kernel's deferred work (RCU,
// per-CPU pages) settle.
Available settled_available(int fd);

}  // namespace floor_bench
