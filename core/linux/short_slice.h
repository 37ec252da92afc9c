// SPDX-License-Identifier: Apache-2.0
// For threads that others wait for and that run a little at a time: a loop, a server's poller.
#pragma once

namespace berth::sys {

// The calling thread asks the scheduler for slices of 0.1 ms instead of some 3, so that when it
// wakes it runs at once even where a busy thread has the CPU; its share of the CPU stays the same.
// Children get the default slice again. Does nothing where an operator has decided already: under
// another policy than SCHED_OTHER, or with a negative nice value, which favours the thread anyway
// and which its threads and children keep. Fails silently: nothing but latency depends on it.
// KERNEL: since 6.12 (EEVDF) the slice of an ordinary thread is sched_attr.sched_runtime; older
// ones ignore it.
void ask_for_short_slices() noexcept;

}  // namespace berth::sys
