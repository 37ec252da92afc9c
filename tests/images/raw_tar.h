// SPDX-License-Identifier: Apache-2.0
// Builds a tar from the steps of a row, including forms that libraries do not write:
//
//   file|dir|symlink|hardlink|char|block|fifo NAME [content= target= mode= uid= gid= mtime= major=
//                                                   minor= type= magic= prefix= size= sum=]
//   pax KEY=VALUE...   a record of the pax header before the next entry; global: of a global header
//   pax-raw BYTES      bytes in the pax header that are not a valid record
//   long NAME, long-link NAME   GNU's long names
//   end blocks|none|one|unpadded|cut   `cut bytes=N`: without the last N bytes of the contents
#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/images/field_rows.h"

namespace berth::field {

class RawTar {
 public:
  // False: `step` is not a step of a tar.
  bool take(const Step& step) {
    static const std::vector<std::pair<std::string, char>> kTypes = {
        {"file", '0'}, {"dir", '5'},   {"symlink", '2'}, {"hardlink", '1'},
        {"char", '3'}, {"block", '4'}, {"fifo", '6'}};
    for (const auto& [verb, type] : kTypes) {
      if (step.verb == verb) return entry(step, type), true;
    }
    if (step.verb == "pax" || step.verb == "global") {
      for (const std::string& word : step.words) pax_ += record(word);
      if (step.verb == "global") special('g', std::exchange(pax_, {}));
    } else if (step.verb == "pax-raw") {
      pax_ += step.word();
    } else if (step.verb == "long") {
      special('L', step.word() + '\0');
    } else if (step.verb == "long-link") {
      special('K', step.word() + '\0');
    } else if (step.verb == "end") {
      end_ = step;
    } else {
      return false;
    }
    return true;
  }

  std::string finish() {
    const std::string how = end_.word();
    if (how == "unpadded" || how == "cut") {
      bytes_.resize(bytes_.size() - padding_ - end_.number("bytes", 0));
    }
    if (how == "one") bytes_.append(kBlock, '\0');
    if (how.empty() || how == "blocks") bytes_.append(2 * kBlock, '\0');
    return bytes_;
  }

 private:
  static constexpr std::size_t kBlock = 512;

  // "LENGTH KEY=VALUE\n" (pax(1)).
  static std::string record(const std::string& text) {
    std::size_t size = text.size() + 3;
    while (std::to_string(size).size() + text.size() + 2 != size) {
      size = std::to_string(size).size() + text.size() + 2;
    }
    return std::to_string(size) + " " + text + "\n";
  }
  void put_number(std::string& header, std::size_t at, int width, std::uint64_t value) {
    std::snprintf(&header[at], static_cast<std::size_t>(width), "%0*llo", width - 1,
                  static_cast<unsigned long long>(value));
  }
  void put_sum(std::string& header, const Step& step) {
    std::memset(&header[148], ' ', 8);
    int sum = 0;
    const bool is_signed = step.text("sum") == "signed";  // the checksum of some old programs
    for (const char c : header) sum += is_signed ? c : static_cast<unsigned char>(c);
    if (step.text("sum") == "wrong") ++sum;
    std::snprintf(&header[148], 8, "%06o", static_cast<unsigned>(sum));
  }
  void block(const Step& step, char type, const std::string& name, std::uint64_t size) {
    std::string header(kBlock, '\0');
    name.copy(&header[0], 100);
    put_number(header, 100, 8, step.number("mode", type == '5' ? 0755 : 0644));
    put_number(header, 108, 8, step.number("uid", 0));
    put_number(header, 116, 8, step.number("gid", 0));
    put_number(header, 124, 12, step.number("size", size));
    put_number(header, 136, 12, step.number("mtime", 1'000'000));
    header[156] = step.option("type") ? step.text("type")[0] : type;
    step.text("target").copy(&header[157], 100);
    const std::string magic = step.option("magic").value_or("ustar");
    if (magic == "ustar") std::memcpy(&header[257], "ustar\00000", 8);
    if (magic == "gnu") std::memcpy(&header[257], "ustar  ", 8);
    if (type == '3' || type == '4') {
      put_number(header, 329, 8, step.number("major", 0));
      put_number(header, 337, 8, step.number("minor", 0));
    }
    step.text("prefix").copy(&header[345], 155);
    // The GNU format of numbers that do not fit into the octal digits: base 256.
    if (step.option("mtime256")) {
      std::memcpy(&header[136], "\x80\0\0\0\0\0\0\0", 8);
      const std::uint64_t value = step.number("mtime256", 0);
      for (std::size_t i = 0; i < 8; ++i) header[147 - i] = static_cast<char>(value >> (8 * i));
    }
    if (step.text("blanks") == "yes") std::memcpy(&header[124], "          0\0", 12);
    put_sum(header, step);
    bytes_ += header;
  }
  void body(const std::string& contents) {
    bytes_ += contents;
    padding_ = (kBlock - contents.size() % kBlock) % kBlock;
    bytes_.append(padding_, '\0');
  }
  void special(char type, const std::string& contents) {
    block({}, type, "././@special", contents.size());
    body(contents);
  }
  void entry(const Step& step, char type) {
    if (!pax_.empty()) special('x', std::exchange(pax_, {}));
    const std::string contents = step.text("content");
    block(step, type, step.word(), contents.size());
    body(contents);
  }

  std::string bytes_;
  std::string pax_;
  std::size_t padding_ = 0;  // bytes of padding after the last contents
  Step end_;
};

}  // namespace berth::field
