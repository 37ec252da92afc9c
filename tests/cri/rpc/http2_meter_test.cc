// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/http2_meter.h"

#include <gtest/gtest.h>

#include <random>

#include "core/base/units.h"
#include "tests/cri/rpc/raw_http2.h"

namespace berth::rpc {
namespace {

using test::RawHttp2;

constexpr std::int64_t kSecond = kNanosecondsPerSecond;
const std::string kHello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const std::string kAcknowledged = RawHttp2::frame(RawHttp2::kSettings, RawHttp2::kAck, 0, "");

std::string taken(Http2Meter& meter, const std::string& bytes, std::int64_t now_ns = kSecond) {
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const char* wrong = meter.take({data, bytes.size()}, now_ns);
  return wrong == nullptr ? "" : wrong;
}

std::string headers(std::size_t size, std::uint8_t flags = RawHttp2::kEndHeaders) {
  return RawHttp2::frame(RawHttp2::kHeaders, flags, 1, std::string(size, 'h'));
}

std::string times(int count, const std::string& frame) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += frame;
  return bytes;
}

TEST(Allowance, GrowsWithTimeUpToItsMost) {
  Allowance allowance({.first = 10, .most = 10, .per_second = 100});
  EXPECT_TRUE(allowance.spend(10, kSecond));
  EXPECT_FALSE(allowance.spend(1, kSecond));
  EXPECT_TRUE(allowance.spend(5, kSecond + kSecond / 20));
  EXPECT_FALSE(allowance.spend(1, kSecond + kSecond / 20));
  EXPECT_FALSE(allowance.spend(11, INT64_MAX));
  EXPECT_TRUE(allowance.spend(10, INT64_MAX));
  EXPECT_FALSE(allowance.spend(1, 0)) << "time does not go back";
  allowance.give_back(3);
  EXPECT_TRUE(allowance.spend(3, 0));
  allowance.give_back(100);
  EXPECT_FALSE(allowance.spend(11, 0));
}

TEST(Http2Meter, AcceptedCallsPass) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  EXPECT_EQ(taken(meter, kHello + RawHttp2::frame(RawHttp2::kSettings, 0, 0, "") + kAcknowledged),
            "");
  const std::string call = headers(300) + RawHttp2::frame(RawHttp2::kData, 1, 1, "request");
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(taken(meter, call, kSecond + i * (kSecond / 20'000)), "") << i;
    shared.give_back(Http2Meter::kGivenBackWhenTaken);
  }
}

TEST(Http2Meter, CallsThatAreNotAcceptedAreLimited) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  EXPECT_EQ(taken(meter, kHello + kAcknowledged + times(500, headers(0))), "");
  EXPECT_NE(taken(meter, times(20, headers(0))), "");
}

TEST(Http2Meter, ResetsAreExpensive) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  EXPECT_EQ(taken(meter, kHello + kAcknowledged), "");
  const std::string reset = headers(0) + RawHttp2::reset(1);
  EXPECT_EQ(taken(meter, times(160, reset)), "");
  EXPECT_NE(taken(meter, times(20, reset)), "");
}

TEST(Http2Meter, AClientWithFewCallsIsServedWhenTheSharedAllowanceIsUsedUp) {
  Allowance shared({.first = 1'000, .most = 1'000, .per_second = 1});
  Http2Meter greedy(shared);
  Http2Meter modest(shared);
  EXPECT_EQ(taken(modest, kHello + kAcknowledged + headers(0)), "");
  EXPECT_EQ(taken(greedy, kHello + kAcknowledged), "");
  // 898 are left of the shared allowance and 500 of its own; each stream costs 100.
  EXPECT_EQ(taken(greedy, times(12, headers(0))), "");
  EXPECT_EQ(taken(greedy, times(2, headers(0))), "more frames than all clients together may send");
  EXPECT_EQ(taken(modest, times(4, headers(0))), "") << "its own is untouched";
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(taken(modest, headers(0), 2 * kSecond + i * (kSecond / 200)), "") << i;
  }
}

TEST(Http2Meter, StreamsBeforeTheSettingsAreLimited) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  EXPECT_EQ(taken(meter, kHello + times(100, headers(10))), "");
  EXPECT_NE(taken(meter, headers(10)), "");
  Http2Meter other(shared);
  EXPECT_EQ(taken(other, kHello + times(100, headers(10)) + kAcknowledged + times(10, headers(10))),
            "");
}

TEST(Http2Meter, AHeaderBlockIsLimitedInBytesAndFrames) {
  Allowance shared = Http2Meter::shared();
  const auto block = [&shared](std::size_t first, std::size_t more, int count) {
    Http2Meter meter(shared);
    const std::string piece =
        RawHttp2::frame(RawHttp2::kContinuation, 0, 1, std::string(more, 'h'));
    return taken(meter, kHello + headers(first, 0) + times(count, piece));
  };
  EXPECT_EQ(block(8192, 0, 0), "");
  EXPECT_EQ(block(8193, 0, 0), "more than 8 KiB of headers");
  EXPECT_EQ(block(4096, 1024, 4), "");
  EXPECT_EQ(block(4097, 1024, 4), "more than 8 KiB of headers");
  EXPECT_EQ(block(10, 10, 4), "");
  EXPECT_EQ(block(10, 10, 5), "headers in more than 5 frames");
}

TEST(Http2Meter, SettingsAreLimited) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  const std::string settings = RawHttp2::frame(RawHttp2::kSettings, 0, 0, "");
  EXPECT_EQ(taken(meter, kHello + times(100, settings) + times(100, kAcknowledged)), "");
  EXPECT_EQ(taken(meter, settings), "more than 100 frames of settings");
}

TEST(Http2Meter, OtherProtocolsAreNotMetered) {
  Allowance shared = Http2Meter::shared();
  Http2Meter meter(shared);
  EXPECT_EQ(taken(meter, "PRI * HTTP/1.1" + times(10'000, headers(9000))), "");
}

// The result does not depend on how the bytes are split into reads.
TEST(Http2Meter, TheSizesOfReadsDoNotMatter) {
  std::mt19937 random(20261129);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = kHello;
    for (int i = 0; i < 30; ++i) {
      const auto type = static_cast<RawHttp2::Type>(random() % 12);
      bytes += RawHttp2::frame(type, static_cast<std::uint8_t>(random()), random() % 8,
                               std::string(random() % 3000, 'p'));
    }
    Allowance shared_whole = Http2Meter::shared();
    Http2Meter whole(shared_whole);
    const std::string expected = taken(whole, bytes);
    Allowance shared_pieces = Http2Meter::shared();
    Http2Meter pieces(shared_pieces);
    std::string found;
    for (std::size_t at = 0; at < bytes.size() && found.empty();) {
      const std::size_t count = 1 + random() % (random() % 2 == 0 ? 7 : 2000);
      found = taken(pieces, bytes.substr(at, count));
      at += count;
    }
    ASSERT_EQ(found, expected) << round;
  }
}

}  // namespace
}  // namespace berth::rpc
