// SPDX-License-Identifier: Apache-2.0
// Limits the load that one client puts on the server, measured by its HTTP/2 frames (RFC 9113).
// Pure: the caller passes the bytes and the time.
//
// A frame of a few bytes can cost the server much memory and time: a stream that is reset at once,
// headers that never end, settings that require an acknowledgement. Each frame has a price. The
// price is taken from an allowance that all clients share or, when that is used up, from a small
// allowance of the client. A client that sends few requests is therefore served regardless of the
// load from other clients.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::rpc {

// A token bucket that grows by `per_second` up to `most`. Not thread-safe.
class Allowance {
 public:
  struct Options {
    std::int64_t first = 0;  // the initial amount
    std::int64_t most = 0;
    std::int64_t per_second = 1;
  };
  explicit Allowance(const Options& options) : options_(options), left_(options.first) {}

  // False, and nothing is taken, if less than `price` is left. `now_ns` is monotonic time.
  bool spend(std::int64_t price, std::int64_t now_ns);
  void give_back(std::int64_t price);

 private:
  Options options_;
  std::int64_t left_;
  std::int64_t grown_at_ns_ = 0;
};

class Http2Meter {
 public:
  // A stream costs 100, of which 90 are given back when the server has accepted the call. Until
  // then gRPC 1.51 keeps 14 KiB for the call, and calls are accepted in the order of arrival. These
  // prices allow 500 waiting calls of all clients and 30,000 calls per second, which is as many as
  // the server can answer. A reset costs 200, a PING, which the server must answer, 100. Every 64
  // bytes of headers and every other frame cost 1.
  static Allowance own() { return Allowance({.first = 500, .most = 5'000, .per_second = 50'000}); }
  static Allowance shared() {
    return Allowance({.first = 50'000, .most = 50'000, .per_second = 300'000});
  }
  static constexpr std::int64_t kGivenBackWhenTaken = 90;

  // The size of one header block in its encoded form. gRPC itself refuses 8 KiB of decoded headers.
  static constexpr std::size_t kHeaderBytesMax = 8192;
  static constexpr int kContinuationsMax = 4;
  // The limits in the server's settings apply once the client has acknowledged them. Until then a
  // client may open this many streams. Clients that first wait for the settings, as gRPC's do, open
  // none.
  static constexpr int kStreamsBeforeSettingsMax = 100;
  // Each SETTINGS frame requires an answer, which stays in memory while the client does not read.
  static constexpr int kSettingsMax = 100;

  explicit Http2Meter(Allowance& shared) : shared_(shared), own_(own()) {}

  // Processes the next bytes of the connection. Returns nullptr, or a description of the violated
  // rule, after which the caller closes the connection. A connection that does not begin with the
  // preface of HTTP/2 is not measured.
  const char* take(std::span<const unsigned char> bytes, std::int64_t now_ns);

 private:
  enum class State { preface, header, payload, passed };

  std::size_t take_preface(std::span<const unsigned char> bytes);
  const char* begin_frame(std::int64_t now_ns);
  const char* begin_headers(std::size_t size);
  const char* continue_headers(std::size_t size);
  const char* note_settings(std::uint8_t flags);
  bool pay(std::int64_t price, std::int64_t now_ns);

  Allowance& shared_;
  Allowance own_;
  State state_ = State::preface;
  std::size_t have_ = 0;  // bytes received of the preface or of the frame's header
  std::array<unsigned char, 9> header_{};
  std::size_t payload_left_ = 0;
  bool settings_acknowledged_ = false;
  int streams_before_settings_ = 0;
  int settings_ = 0;
  std::size_t header_bytes_ = 0;  // size so far of the open header block
  int continuations_ = 0;
};

}  // namespace berth::rpc
