// SPDX-License-Identifier: Apache-2.0
// How much memory the machine could still give, as the kernel itself reckons it.
#pragma once

namespace floor_bench {

struct Available {
  long kib;     // the median of nine readings of MemAvailable over about a second
  long spread;  // between the least and the most of them: what others on the machine do to it
};

// Reads `fd`, an open /proc/meminfo, until two medians in a row agree, because the kernel frees
// much of what pods used (network namespaces, per-CPU pages) long after they are gone. Gives up
// waiting after some twelve seconds, on a machine that does other things.
Available settled_available(int fd);

}  // namespace floor_bench
