// SPDX-License-Identifier: Apache-2.0
// How the fields of a record become bytes: numbers little-endian with fixed width, strings with a
// 32-bit length before them, in the same order for writer and reader. Fields may be added at
// the end; a reader that finds the end early gets zeros and empty strings and sees `truncated()`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::store {

class RecordWriter {
 public:
  RecordWriter& u8(std::uint8_t value) { return number(value, 1); }
  RecordWriter& u32(std::uint32_t value) { return number(value, 4); }
  RecordWriter& u64(std::uint64_t value) { return number(value, 8); }
  RecordWriter& i64(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 8); }
  RecordWriter& string(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
    return *this;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  RecordWriter& number(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }

  std::string bytes_;
};

class RecordReader {
 public:
  // Borrows `bytes`; the strings it returns are views into them.
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(number(8)); }
  std::string_view string() { return take(u32()); }

  bool at_end() const { return rest_.empty(); }
  bool truncated() const { return truncated_; }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      truncated_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : take(width)) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << shift;
      shift += 8;
    }
    return value;
  }

  std::string_view rest_;
  bool truncated_ = false;
};

}  // namespace berth::store
