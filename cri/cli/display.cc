// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/display.h"

#include <fmt/core.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <utility>

#include "core/base/check.h"
#include "core/base/units.h"

namespace berth::cli {

Table::Table(std::vector<std::string> heads) {
  rows_.push_back(std::move(heads));
}

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      text += row[i];
      text.append(widths[i] - row[i].size() + 3, ' ');
    }
    text += row.back() + "\n";
  }
  return text;
}

std::string short_id(std::string_view id) {
  constexpr std::size_t kShown = 12;
  if (id.starts_with("sha256:")) id.remove_prefix(7);
  const bool hex = std::all_of(id.begin(), id.end(), [](unsigned char c) { return isxdigit(c); });
  return std::string(hex && id.size() > kShown ? id.substr(0, kShown) : id);
}

std::string age(std::int64_t then_ns, std::int64_t now_ns) {
  if (then_ns <= 0) return "-";
  const std::int64_t seconds = std::max<std::int64_t>(0, now_ns - then_ns) / kNanosecondsPerSecond;
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 6> kUnits = {{{31'536'000, "year"},
                                           {2'592'000, "month"},
                                           {604'800, "week"},
                                           {86'400, "day"},
                                           {3'600, "hour"},
                                           {60, "minute"}}};
  for (const Unit& unit : kUnits) {
    const std::int64_t count = seconds / unit.seconds;
    if (count > 0) return fmt::format("{} {}{}", count, unit.name, count == 1 ? "" : "s");
  }
  return fmt::format("{} second{}", seconds, seconds == 1 ? "" : "s");
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1000.0 && unit + 1 < kUnits.size()) {
    size /= 1000.0;
    ++unit;
  }
  if (unit == 0) return fmt::format("{}B", bytes);
  return fmt::format("{:.3g}{}", size, kUnits[unit]);
}

std::string grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::size_t left = digits.size() - i;
    if (left % 3 == 0 && i > 0 && digits[i - 1] != '-') text += ' ';
    text += digits[i];
  }
  return text;
}

Json message_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return Json{{"error", std::string(status.message())}};
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Json{{"error", "protobuf wrote no JSON"}};
  return json;
}

Json info_json(const google::protobuf::Map<std::string, std::string>& info) {
  Json json = Json::object();
  for (const auto& [key, value] : info) {
    Json document = Json::parse(value, nullptr, false);
    json[key] = document.is_structured() ? std::move(document) : Json(value);
  }
  return json;
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace berth::cli
