// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/http2_meter.h"

#include <algorithm>
#include <string_view>

#include "core/base/units.h"

namespace berth::rpc {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum Type : std::uint8_t {
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kContinuation = 9,
};
constexpr std::uint8_t kAck = 1;

constexpr std::int64_t kPriceOfStream = 100;
constexpr std::int64_t kPriceOfReset = 200;
constexpr std::int64_t kPriceOfPing = 100;
constexpr std::int64_t kPriceOfAny = 1;
constexpr std::int64_t kHeaderBytesPerPrice = 64;

}  // namespace

bool Allowance::spend(std::int64_t price, std::int64_t now_ns) {
  // The elapsed time is limited to the time that fills the allowance, so that the product cannot
  // overflow.
  if (grown_at_ns_ == 0) grown_at_ns_ = now_ns;
  const std::int64_t full_after_s = options_.most / options_.per_second + 1;
  const std::int64_t passed_ns =
      std::clamp<std::int64_t>(now_ns - grown_at_ns_, 0, full_after_s * kNanosecondsPerSecond);
  const std::int64_t grown = passed_ns * options_.per_second / kNanosecondsPerSecond;
  if (grown > 0) {
    give_back(grown);
    grown_at_ns_ = now_ns;
  }
  if (left_ < price) return false;
  left_ -= price;
  return true;
}

void Allowance::give_back(std::int64_t price) {
  left_ = std::min(options_.most, left_ + price);
}

bool Http2Meter::pay(std::int64_t price, std::int64_t now_ns) {
  return shared_.spend(price, now_ns) || own_.spend(price, now_ns);
}

std::size_t Http2Meter::take_preface(std::span<const unsigned char> bytes) {
  const std::size_t count = std::min(bytes.size(), kPreface.size() - have_);
  const auto wanted = kPreface.substr(have_, count);
  if (!std::equal(wanted.begin(), wanted.end(), bytes.begin(), [](char want, unsigned char got) {
        return static_cast<unsigned char>(want) == got;
      })) {
    state_ = State::passed;
    return bytes.size();
  }
  have_ += count;
  if (have_ == kPreface.size()) {
    state_ = State::header;
    have_ = 0;
  }
  return count;
}

const char* Http2Meter::begin_headers(std::size_t size) {
  header_bytes_ = size;
  continuations_ = 0;
  if (size > kHeaderBytesMax) return "more than 8 KiB of headers";
  if (settings_acknowledged_) return nullptr;
  if (++streams_before_settings_ <= kStreamsBeforeSettingsMax) return nullptr;
  return "more than 100 streams before it acknowledged the server's settings";
}

const char* Http2Meter::continue_headers(std::size_t size) {
  header_bytes_ += size;
  if (header_bytes_ > kHeaderBytesMax) return "more than 8 KiB of headers";
  if (++continuations_ > kContinuationsMax) return "headers in more than 5 frames";
  return nullptr;
}

const char* Http2Meter::note_settings(std::uint8_t flags) {
  if ((flags & kAck) != 0) {
    settings_acknowledged_ = true;
    return nullptr;
  }
  return ++settings_ > kSettingsMax ? "more than 100 frames of settings" : nullptr;
}

const char* Http2Meter::begin_frame(std::int64_t now_ns) {
  const std::size_t size = static_cast<std::size_t>(header_[0]) << 16 |
                           static_cast<std::size_t>(header_[1]) << 8 | header_[2];
  const std::uint8_t type = header_[3];
  const std::uint8_t flags = header_[4];
  payload_left_ = size;
  std::int64_t price = kPriceOfAny;
  const char* wrong = nullptr;
  switch (type) {
    case kHeaders:
      wrong = begin_headers(size);
      price = kPriceOfStream + static_cast<std::int64_t>(size) / kHeaderBytesPerPrice;
      break;
    case kContinuation:
      wrong = continue_headers(size);
      price += static_cast<std::int64_t>(size) / kHeaderBytesPerPrice;
      break;
    case kReset:
      price = kPriceOfReset;
      break;
    case kSettings:
      wrong = note_settings(flags);
      break;
    case kPing:
      price = kPriceOfPing;
      break;
    default:
      break;
  }
  if (wrong != nullptr) return wrong;
  return pay(price, now_ns) ? nullptr : "more frames than all clients together may send";
}

const char* Http2Meter::take(std::span<const unsigned char> bytes, std::int64_t now_ns) {
  while (!bytes.empty() && state_ != State::passed) {
    std::size_t count = 0;
    if (state_ == State::preface) {
      count = take_preface(bytes);
    } else if (state_ == State::payload) {
      count = std::min(bytes.size(), payload_left_);
      payload_left_ -= count;
    } else {
      count = std::min(bytes.size(), header_.size() - have_);
      std::copy_n(bytes.begin(), count, header_.begin() + static_cast<std::ptrdiff_t>(have_));
      have_ += count;
      if (have_ == header_.size()) {
        have_ = 0;
        if (const char* wrong = begin_frame(now_ns)) return wrong;
        state_ = State::payload;
      }
    }
    bytes = bytes.subspan(count);
    if (state_ == State::payload && payload_left_ == 0) state_ = State::header;
  }
  return nullptr;
}

}  // namespace berth::rpc
