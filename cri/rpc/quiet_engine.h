// SPDX-License-Identifier: Apache-2.0
// Removes the periodic wake-ups of gRPC. The library's default event engine has threads that wake
// once a second even without work, and so has its timer; an idle agent must use no CPU.
#pragma once

namespace berth::rpc {

// Call before the first use of gRPC in the process. Deferred work then runs on one thread, which is
// started by the first such work and sleeps until the next is due.
void install_quiet_engine();

// Call once gRPC is in use. Ends its timer thread. A server on a unix socket then has no time limit
// for the first bytes of a connection; deadlines still work, because a client cancels its call when
// the deadline passes. A process that is also a gRPC client needs timers and must not call this.
void stop_timer_thread();

}  // namespace berth::rpc
