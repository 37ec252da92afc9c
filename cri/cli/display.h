// SPDX-License-Identifier: Apache-2.0
// Output for people (aligned tables, short ids, ages, sizes) and for programs (JSON).
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace berth::cli {

using Json = nlohmann::ordered_json;

// Each column is as wide as its widest cell, with three spaces between columns. The last column is
// not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> heads);
  // `cells` has one element for each column.
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Twelve hex digits, without "sha256:". Text that is not an id is returned unchanged.
std::string short_id(std::string_view id);
// "3 minutes" for the time from `then_ns` to `now_ns`, both Unix time; "-" for a time never set.
std::string age(std::int64_t then_ns, std::int64_t now_ns);
// "4.26MB": decimal units, three digits, as docker prints them.
std::string human_size(std::uint64_t bytes);
// A number with a space between thousands: "12 345".
std::string grouped(std::int64_t number);

// A message in protobuf's JSON mapping: every scalar is present, 64-bit numbers are strings.
Json message_json(const google::protobuf::Message& message);
// The verbose `info` of a response. Values that contain JSON documents are parsed.
Json info_json(const google::protobuf::Map<std::string, std::string>& info);

// Prints to stdout, with a newline. Bytes that are not UTF-8 become U+FFFD.
void print_json(const Json& json);
void print(std::string_view text);

}  // namespace berth::cli
