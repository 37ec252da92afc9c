// SPDX-License-Identifier: Apache-2.0
// A scheduler setting for threads that run briefly and on which others wait: an event loop, the
// poller of a server.
#pragma once

namespace berth::sys {

// Requests a scheduler slice of 0.1 ms for the calling thread instead of the default of about 3 ms.
// On wake-up it then preempts a busy thread at once; its share of the CPU stays the same. Children
// have the default slice. Does nothing if an operator has configured the scheduling: with a policy
// other than SCHED_OTHER, or with a negative nice value, which gives the thread an advantage anyway
// and which its threads and children keep. Errors are ignored, because only latency depends on it.
// KERNEL: since 6.12 (EEVDF) the slice of an ordinary thread is sched_attr.sched_runtime; older
// kernels ignore it.
void ask_for_short_slices() noexcept;

}  // namespace berth::sys
