// SPDX-License-Identifier: Apache-2.0
// Measures what one client costs the server, from the frames that it sends. RFC 9113. Pure.
//
// A frame of a few bytes can cost the server much memory and time: a stream that is reset at once,
// headers without an end, settings that want an answer. Each frame has a price, which is taken from
// an allowance that all clients share, and when that is used up, from a small one of the client's
// own. So a client that sends few requests is served however many the others send.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::rpc {

// Grows with time up to `most`.
class Allowance {
 public:
  struct Options {
    std::int64_t first = 0;  // at the beginning
    std::int64_t most = 0;
    std::int64_t per_second = 1;
  };
  explicit Allowance(const Options& options) : options_(options), left_(options.first) {}

  bool spend(std::int64_t price, std::int64_t now_ns);
  void give_back(std::int64_t price);

 private:
  Options options_;
  std::int64_t left_;
  std::int64_t grown_at_ns_ = 0;
};

class Http2Meter {
 public:
  // A stream costs 100, of which 90 come back when the server has taken its call: until then
  // gRPC 1.51 keeps 14 KiB for it, and calls are taken in the order of their coming. So 500 calls
  // of all clients wait at a time, and 30,000 in a second are served, which is as many as can be
  // answered. A reset costs 200, what wants an answer of the server itself (PING) 100, 64 bytes of
  // headers and any other frame 1.
  static Allowance own() { return Allowance({.first = 500, .most = 5'000, .per_second = 50'000}); }
  static Allowance shared() {
    return Allowance({.first = 50'000, .most = 50'000, .per_second = 300'000});
  }
  static constexpr std::int64_t kGivenBackWhenTaken = 90;

  // A block of headers, names and values as they are sent. gRPC refuses 8 KiB of decoded ones.
  static constexpr std::size_t kHeaderBytesMax = 8192;
  static constexpr int kContinuationsMax = 4;
  // Limits of the server's hold from when the client acknowledges them. Until then it may open so
  // many streams; clients that wait for the server's settings, as gRPC's do, open none.
  static constexpr int kStreamsBeforeSettingsMax = 100;
  // Each wants an answer, which waits in memory for a client that does not read.
  static constexpr int kSettingsMax = 100;

  explicit Http2Meter(Allowance& shared) : shared_(shared), own_(own()) {}

  // Takes the next bytes of the connection. nullptr, or what the client did that is not allowed:
  // the caller closes the connection then. Bytes that do not begin with the preface of HTTP/2 are
  // not measured.
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
  std::size_t have_ = 0;  // of the preface or of the frame's header
  std::array<unsigned char, 9> header_{};
  std::size_t payload_left_ = 0;
  bool settings_acknowledged_ = false;
  int streams_before_settings_ = 0;
  int settings_ = 0;
  std::size_t header_bytes_ = 0;  // of the block that is open
  int continuations_ = 0;
};

}  // namespace berth::rpc
