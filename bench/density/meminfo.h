// SPDX-License-Identifier: Apache-2.0
// The available memory of the machine, as computed by the kernel (MemAvailable).
#pragma once

namespace floor_bench {

struct Available {
  long kib;     // the median of nine readings of MemAvailable over about a second
  long spread;  // the maximum minus the minimum of them, an estimate of other load on the machine
};

// Reads `fd`, an open /proc/meminfo, until two consecutive medians agree, because the kernel frees
// some resources of pods (network namespaces, per-CPU pages) long after the pods have ended. Stops
// waiting after about twelve seconds, because other load may prevent an agreement.
Available settled_available(int fd);

}  // namespace floor_bench
