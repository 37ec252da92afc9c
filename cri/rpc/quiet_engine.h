// SPDX-License-Identifier: Apache-2.0
// gRPC without clockwork. The library's own event engine keeps threads that wake once a second with
// nothing to do, and so does its timer thread; an idle agent is to sleep.
#pragma once

namespace berth::rpc {

// Before the first use of gRPC in the process: its deferred work runs on one thread that is made
// when there is some and sleeps until it is due.
void install_quiet_engine();

// Once gRPC is in use: ends its timer thread. What a server on a unix socket loses is the limit on
// the time of a connection's first bytes; clients' deadlines come as cancellations from the client.
// A process that is also a gRPC client needs timers and must not call this.
void stop_timer_thread();

}  // namespace berth::rpc
