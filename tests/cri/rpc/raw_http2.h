// SPDX-License-Identifier: Apache-2.0
// A client that sends single HTTP/2 frames, also those that a library would not send. RFC 9113;
// headers are literals without a table, RFC 7541.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>

namespace berth::test {

class RawHttp2 {
 public:
  enum Type : std::uint8_t {
    kData = 0,
    kHeaders = 1,
    kReset = 3,
    kSettings = 4,
    kPing = 6,
    kContinuation = 9
  };
  static constexpr std::uint8_t kAck = 1;
  static constexpr std::uint8_t kEndStream = 1;
  static constexpr std::uint8_t kEndHeaders = 4;

  // Connects and sends the preface and a SETTINGS frame.
  explicit RawHttp2(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::connect(socket_, name, sizeof address), 0) << path;
    send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, ""));
  }
  ~RawHttp2() {
    ::shutdown(socket_, SHUT_RDWR);
    if (reader_.joinable()) reader_.join();
    ::close(socket_);
  }
  RawHttp2(const RawHttp2&) = delete;

  static std::string frame(Type type, std::uint8_t flags, std::uint32_t stream,
                           const std::string& payload) {
    const auto size = static_cast<std::uint32_t>(payload.size());
    std::string bytes = {static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                         static_cast<char>(size), static_cast<char>(type),
                         static_cast<char>(flags)};
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(stream >> shift);
    return bytes + payload;
  }
  // The header "name: value", which is not added to a table. Both must be shorter than 127 bytes.
  static std::string literal(const std::string& name, const std::string& value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + name +
           static_cast<char>(value.size()) + value;
  }
  // The headers of a call of `method`.
  static std::string call_headers(const std::string& method) {
    return std::string("\x83\x86", 2) + literal(":path", method) + literal(":authority", "x") +
           literal("content-type", "application/grpc") + literal("te", "trailers");
  }
  static std::string reset(std::uint32_t stream) {
    return frame(kReset, 0, stream, std::string("\0\0\0\x08", 4));
  }

  // False: the server has closed the connection, or accepted no bytes for `seconds`.
  bool send(const std::string& bytes, int seconds = 5) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count =
          ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) {
        sent += static_cast<std::size_t>(count);
        continue;
      }
      if (errno != EAGAIN) return false;
      pollfd wait{socket_, POLLOUT, 0};
      if (::poll(&wait, 1, seconds * 1000) <= 0) return false;
    }
    return true;
  }
  // After this the limits in the server's settings apply.
  bool acknowledge_settings() { return send(frame(kSettings, kAck, 0, "")); }
  // From now on all bytes from the server are read and discarded.
  void read_all() {
    reader_ = std::thread([this]() {
      char buffer[65536];
      while (::read(socket_, buffer, sizeof buffer) > 0) continue;
    });
  }

 private:
  const int socket_;
  std::thread reader_;
};

}  // namespace berth::test
