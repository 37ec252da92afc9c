// SPDX-License-Identifier: Apache-2.0
// "Log format: timestamp stream tag content", tags F and P (the CRI's logging document).
#include "core/keeper/log/format.h"

#include <gtest/gtest.h>
#include <time.h>

#include <random>
#include <string>
#include <vector>

namespace berth::keeper {
namespace {

constexpr std::int64_t kTime = 1'795'372'200'123'456'789;

std::string stamp(std::int64_t time_ns) {
  char out[kStampBytes];
  format_stamp(time_ns, out);
  return {out, sizeof out};
}

struct Written {
  std::string text;
  Formatted done;
};

Written format(const std::string& raw, bool partial = false, Stream stream = kStdout,
               std::size_t room = kRawBytesMax + 4096) {
  std::vector<char> out(room);
  const FormatInput input{
      .raw = std::as_bytes(std::span(raw)), .stream = stream, .time_ns = kTime, .partial = partial};
  Written written;
  written.done = format_records(input, out);
  written.text.assign(out.data(), written.done.out_bytes);
  return written;
}

TEST(LogFormat, StampsAgreeWithTheLibrary) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t seconds = static_cast<std::int64_t>(random() % 253'402'300'800);
    const time_t time = static_cast<time_t>(seconds);
    tm utc{};
    ::gmtime_r(&time, &utc);
    char expected[40];
    ::strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000000001Z", &utc);
    if (seconds > 9'000'000'000) continue;  // does not fit into 64 bits of nanoseconds
    EXPECT_EQ(stamp(seconds * 1'000'000'000 + 1), expected);
  }
  EXPECT_EQ(stamp(951'782'400'000'000'000), "2000-02-29T00:00:00.000000000Z");
}

TEST(LogFormat, WholeLinesAreFAndTheRestIsP) {
  const Written written = format("one\ntwo");
  EXPECT_EQ(written.text, stamp(kTime) + " stdout F one\n" + stamp(kTime) + " stdout P two\n");
  EXPECT_TRUE(written.done.partial);
  EXPECT_EQ(written.done.raw_bytes, 7u);
}

TEST(LogFormat, NewlineAfterAPartialLineIsAnEmptyF) {
  const Written written = format("\n", true, kStderr);
  EXPECT_EQ(written.text, stamp(kTime) + " stderr F \n");
  EXPECT_FALSE(written.done.partial);
}

TEST(LogFormat, BinaryBytesPassUntouched) {
  std::string raw;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte != '\n') raw += static_cast<char>(byte);
  }
  EXPECT_EQ(format(raw + "\n").text, stamp(kTime) + " stdout F " + raw + "\n");
}

TEST(LogFormat, LinesThatDoNotFitAreLeftForTheNextBatch) {
  const std::string raw(kRawBytesMax, '\n');
  std::string rest = raw;
  std::size_t records = 0;
  while (!rest.empty()) {
    const Written written = format(rest);
    ASSERT_GT(written.done.raw_bytes, 0u);
    EXPECT_EQ(written.text.size(), written.done.raw_bytes * kRecordOverhead);
    records += written.done.raw_bytes;
    rest.erase(0, written.done.raw_bytes);
  }
  EXPECT_EQ(records, kRawBytesMax);
}

TEST(LogFormat, LongestPieceFitsInOneRecord) {
  const std::string raw(kRawBytesMax, 'x');
  const Written written = format(raw, false, kStdout, kRawBytesMax + kRecordOverhead);
  EXPECT_EQ(written.done.raw_bytes, raw.size());
  EXPECT_EQ(written.text, stamp(kTime) + " stdout P " + raw + "\n");
}

TEST(LogFormat, EndOfStreamClosesOnlyAPartialLine) {
  std::vector<char> out(64);
  const FormatInput whole{.raw = {}, .stream = kStdout, .time_ns = kTime, .partial = false};
  EXPECT_EQ(format_end(whole, out).out_bytes, 0u);
  const FormatInput open{.raw = {}, .stream = kStdout, .time_ns = kTime, .partial = true};
  const Formatted done = format_end(open, out);
  EXPECT_EQ(std::string(out.data(), done.out_bytes), stamp(kTime) + " stdout F \n");
  EXPECT_FALSE(done.partial);
}

}  // namespace
}  // namespace berth::keeper
