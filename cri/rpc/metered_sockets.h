// SPDX-License-Identifier: Apache-2.0
// Applies an Http2Meter to every connection of the gRPC server. The program defines recvmsg, which
// gRPC calls to read a connection, and inspects the received bytes there (docs/decisions/0013):
// this needs no copy and no additional thread. When a client breaks a rule of http2_meter.h,
// recvmsg fails with ECONNRESET, and gRPC closes the connection and frees its memory.
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

// At most one in a process at a time. It must outlive the server whose connections it meters.
class MeteredSockets {
 public:
  // `on_refused` is called with the reason when connections were closed, at most once a second and
  // on any thread. It may be empty.
  explicit MeteredSockets(std::function<void(const std::string&)> on_refused);
  MeteredSockets(const MeteredSockets&) = delete;
  ~MeteredSockets();

  // Meters the `size` bytes that were read into `message`. False: the connection must be closed.
  bool admit(int socket, const msghdr& message, std::size_t size);
  // To be called when the server has accepted a call; gives back the larger part of its price.
  void call_taken();

 private:
  struct Connection {
    std::uint64_t cookie = 0;  // identifies the socket: descriptor numbers are reused
    Http2Meter meter;
  };
  Connection& connection_of(int socket);
  void note_refused(const char* why, std::int64_t now_ns);

  std::function<void(const std::string&)> on_refused_;
  std::mutex mutex_;
  Allowance shared_ = Http2Meter::shared();
  std::unordered_map<int, Connection> connections_;
  std::int64_t reported_at_ns_ = 0;
  int unreported_ = 0;  // closed connections since the last call of on_refused_
};

}  // namespace berth::rpc
