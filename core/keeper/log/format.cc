// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/format.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/units.h"

namespace berth::keeper {
namespace {

void put_digits(char* out, int width, std::int64_t value) noexcept {
  for (int i = width - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

// Gregorian date of a day number since 1970-01-01. gmtime_r would read the time zone file once and
// allocate for it. Years begin in March here, so that the leap day is the last of a year.
void put_date(char* out, std::int64_t days) noexcept {
  const std::int64_t since_0000_03_01 = days + 719468;
  const std::int64_t era = since_0000_03_01 / 146097;
  const std::int64_t day_of_era = since_0000_03_01 % 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  put_digits(out, 4, era * 400 + year_of_era + (month <= 2 ? 1 : 0));
  out[4] = '-';
  put_digits(out + 5, 2, month);
  out[7] = '-';
  put_digits(out + 8, 2, day_of_year - (153 * month_from_march + 2) / 5 + 1);
}

char* put_record(char* out, const char (&stamp)[kStampBytes], Stream stream, char tag,
                 std::span<const std::byte> line) noexcept {
  std::memcpy(out, stamp, kStampBytes);
  out += kStampBytes;
  std::memcpy(out, stream == kStdout ? " stdout " : " stderr ", 8);
  out += 8;
  *out++ = tag;
  *out++ = ' ';
  if (!line.empty()) std::memcpy(out, line.data(), line.size());
  out += line.size();
  *out++ = '\n';
  return out;
}

}  // namespace

void format_stamp(std::int64_t time_ns, char (&out)[kStampBytes]) noexcept {
  const std::int64_t clamped = std::max<std::int64_t>(time_ns, 0);
  const std::int64_t seconds = clamped / kNanosecondsPerSecond;
  put_date(out, seconds / 86400);
  const std::int64_t of_day = seconds % 86400;
  out[10] = 'T';
  put_digits(out + 11, 2, of_day / 3600);
  out[13] = ':';
  put_digits(out + 14, 2, of_day / 60 % 60);
  out[16] = ':';
  put_digits(out + 17, 2, of_day % 60);
  out[19] = '.';
  put_digits(out + 20, 9, clamped % kNanosecondsPerSecond);
  out[29] = 'Z';
}

Formatted format_records(const FormatInput& input, std::span<char> out) noexcept {
  CHECK(input.raw.size() <= kRawBytesMax && out.size() >= kRawBytesMax + kRecordOverhead);
  char stamp[kStampBytes];
  format_stamp(input.time_ns, stamp);
  Formatted done{.raw_bytes = 0, .out_bytes = 0, .partial = input.partial};
  char* end = out.data();
  while (done.raw_bytes < input.raw.size()) {
    const std::span<const std::byte> rest = input.raw.subspan(done.raw_bytes);
    const void* newline = std::memchr(rest.data(), '\n', rest.size());
    const bool full = newline != nullptr;
    const std::size_t length =
        full ? static_cast<std::size_t>(static_cast<const std::byte*>(newline) - rest.data())
             : rest.size();
    if (static_cast<std::size_t>(end - out.data()) + length + kRecordOverhead > out.size()) break;
    end = put_record(end, stamp, input.stream, full ? 'F' : 'P', rest.first(length));
    done.raw_bytes += length + (full ? 1 : 0);
    done.partial = !full;
  }
  done.out_bytes = static_cast<std::size_t>(end - out.data());
  return done;
}

Formatted format_end(const FormatInput& input, std::span<char> out) noexcept {
  CHECK(out.size() >= kRecordOverhead);
  if (!input.partial) return {};
  char stamp[kStampBytes];
  format_stamp(input.time_ns, stamp);
  const char* end = put_record(out.data(), stamp, input.stream, 'F', {});
  return {
      .raw_bytes = 0, .out_bytes = static_cast<std::size_t>(end - out.data()), .partial = false};
}

}  // namespace berth::keeper
