// SPDX-License-Identifier: Apache-2.0
// Meters every connection of the gRPC server by standing where gRPC reads: the program's recvmsg is
// this one (docs/decisions/0013). What a client sends costs no copy and no other thread's time that
// way. A connection whose client breaks a rule (http2_meter.h) ends for gRPC as if the client had
// reset it, and gRPC frees what it holds of it.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cri/rpc/http2_meter.h"

namespace berth::rpc {

// One at a time in a process. Reads that begin after its end are not metered; it ends after the
// server whose connections it meters.
class MeteredSockets {
 public:
  // `on_refused` hears why a connection was ended, at most once a second, on any thread.
  explicit MeteredSockets(std::function<void(const std::string&)> on_refused);
  MeteredSockets(const MeteredSockets&) = delete;
  ~MeteredSockets();

  // Whether the connection may go on after the `size` bytes that were read into `message`.
  bool admit(int socket, const msghdr& message, std::size_t size);
  // The server has taken a call of some client's.
  void call_taken();

 private:
  struct Connection {
    std::uint64_t cookie = 0;  // of the socket: numbers of descriptors are used again
    Http2Meter meter;
  };
  Connection& connection_of(int socket);
  void note_refused(const char* why, std::int64_t now_ns);

  std::function<void(const std::string&)> on_refused_;
  std::mutex mutex_;
  Allowance shared_ = Http2Meter::shared();
  std::unordered_map<int, Connection> connections_;
  std::int64_t told_at_ns_ = 0;
  int untold_ = 0;
};

}  // namespace berth::rpc
