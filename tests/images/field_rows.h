// SPDX-License-Identifier: Apache-2.0
// Reads the tables of tests/images/field: images that other programs write and responses of real
// registries, one peculiarity per row, with the expected result. A row has four columns, separated
// by tabs:
//
//   NAME   the program   how to make it: steps separated by " ; "   expectations, in the same form
//
// A step is a verb and words. `\xNN` in a word is a byte, so "\x20" is a space in a word. A line
// that begins with # is a comment.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace berth::field {

struct Step {
  std::string verb;
  std::vector<std::string> words;

  // The value of the word `key=value`.
  std::optional<std::string> option(const std::string& key) const {
    for (const std::string& word : words) {
      if (word.starts_with(key + "=")) return word.substr(key.size() + 1);
    }
    return std::nullopt;
  }
  std::string text(const std::string& key) const { return option(key).value_or(""); }
  std::uint64_t number(const std::string& key, std::uint64_t otherwise) const {
    const std::optional<std::string> text = option(key);
    return text.has_value() ? std::stoull(*text, nullptr, 0) : otherwise;
  }
  // The word at `index`; "" if there are fewer.
  std::string word(std::size_t index = 0) const {
    return index < words.size() ? words[index] : std::string();
  }
};

struct Row {
  std::string name;
  std::string origin;
  std::vector<Step> recipe;
  std::vector<Step> expected;

  // The first expectation with this verb.
  const Step* expects(const std::string& verb) const {
    for (const Step& step : expected) {
      if (step.verb == verb) return &step;
    }
    return nullptr;
  }
};

inline void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name << ": " << row.origin;
}

inline std::string unescaped(const std::string& word) {
  std::string out;
  for (std::size_t at = 0; at < word.size();) {
    if (word.compare(at, 2, "\\x") == 0 && at + 4 <= word.size()) {
      out += static_cast<char>(std::stoi(word.substr(at + 2, 2), nullptr, 16));
      at += 4;
    } else {
      out += word[at++];
    }
  }
  return out;
}

inline std::vector<Step> parse_steps(const std::string& text) {
  std::vector<Step> steps;
  std::istringstream words(text);
  bool begin = true;
  for (std::string word; words >> word;) {
    if (word == ";") {
      begin = true;
    } else if (begin) {
      steps.push_back({word, {}});
      begin = false;
    } else {
      steps.back().words.push_back(unescaped(word));
    }
  }
  return steps;
}

// `table` is a path. A missing table or a malformed row results in a row that fails its test.
inline std::vector<Row> read_rows(const std::string& table) {
  std::vector<Row> rows;
  std::ifstream file(table);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    std::vector<std::string> columns;
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) columns.push_back(cell);
    if (columns.size() != 4) columns = {"malformed", line, "malformed", "malformed"};
    rows.push_back({columns[0], columns[1], parse_steps(columns[2]), parse_steps(columns[3])});
  }
  if (rows.empty()) rows.push_back({"missing", table, {{"missing", {}}}, {}});
  return rows;
}

inline std::string row_name(const testing::TestParamInfo<Row>& info) {
  return info.param.name;
}

// Checks that `message` contains the words of the expectation `error`, joined by spaces.
inline void expect_error(const Row& row, const std::string& message) {
  const Step* error = row.expects("error");
  ASSERT_NE(error, nullptr) << row.origin << ": " << message;
  std::string text;
  for (const std::string& word : error->words) text += (text.empty() ? "" : " ") + word;
  EXPECT_NE(message.find(text), std::string::npos) << row.origin << ": " << message;
}

}  // namespace berth::field
