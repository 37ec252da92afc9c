// SPDX-License-Identifier: Apache-2.0
// How things are shown to people: aligned tables, short ids, ages, sizes; and to programs: JSON.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace berth::cli {

using Json = nlohmann::ordered_json;

// Columns as wide as their widest cell, three spaces between, the last one unpadded.
class Table {
 public:
  explicit Table(std::vector<std::string> heads);
  // As many cells as heads.
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Twelve hex digits, without "sha256:". What is no id stays as it is.
std::string short_id(std::string_view id);
// "3 minutes" for the time from `then_ns` to `now_ns`, both Unix time; "-" for a time never set.
std::string age(std::int64_t then_ns, std::int64_t now_ns);
// "4.26MB": decimal units, three digits, as docker prints them.
std::string human_size(std::uint64_t bytes);
// Microseconds with thousands apart: "12 345".
std::string grouped(std::int64_t number);

// A message as protobuf's own JSON, with every scalar present and 64-bit numbers as strings.
Json message_json(const google::protobuf::Message& message);
// The verbose `info` of a response: values that are JSON documents become documents.
Json info_json(const google::protobuf::Map<std::string, std::string>& info);

// To stdout, with a newline. Bytes that are not UTF-8 become U+FFFD.
void print_json(const Json& json);
void print(std::string_view text);

}  // namespace berth::cli
