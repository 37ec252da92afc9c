// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/toml_reader.h"

#include <algorithm>

#include "core/base/text.h"

namespace berth::image {
namespace {

// A constant expression cannot come to an unreachable point: this would not compile.
constexpr bool knows_every_character() {
  for (char32_t c = 0; c < 0x1'0000; ++c) {
    const bool is_space = c == U'\t' || c == U' ' || c == 0xA0 || c == 0x1680 || c == 0x180E ||
                          (c >= 0x2000 && c <= 0x200B) || c == 0x202F || c == 0x205F ||
                          c == 0x2060 || c == 0x3000 || c == 0xFEFF;
    if (toml::impl::is_horizontal_whitespace(c) != is_space) return false;
  }
  return true;
}
static_assert(knows_every_character());

bool is_bare_key(std::string_view key) {
  constexpr std::string_view kBare =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !key.empty() && key.find_first_not_of(kBare) == std::string_view::npos;
}

std::string shown_key(std::string_view key) {
  if (is_bare_key(key)) return std::string(key);
  return "\"" + printable(key.substr(0, 120)) + "\"";
}

// Where the string that begins at `at` ends. One that is not closed ends with its line or the text.
std::size_t string_end(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string closing(3, quote);
  const bool is_long = text.substr(at, 3) == closing;
  for (at += is_long ? 3 : 1; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (!is_long && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    } else if (is_long && text.substr(at, 3) == closing) {
      // Up to two quotes before the closing three are the string's own.
      const std::size_t end = std::min(text.find_first_not_of(quote, at), text.size());
      return std::min(end, at + 5);
    }
  }
  return text.size();
}

// The first line with a key of more parts than anybody writes; 0: there is none.
std::size_t line_of_deep_key(std::string_view text) {
  constexpr int kPartsMax = 32;
  int dots = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"' || c == '\'') at = string_end(text, at) - 1;
    if (c == '#') at = std::min(text.find('\n', at), text.size()) - 1;
    if (c == '\n' || c == ',') dots = 0;
    if (c == '.' && ++dots == kPartsMax) {
      const std::string_view before = text.substr(0, at);
      return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    }
  }
  return 0;
}

std::string place(const std::string& file, const toml::source_region& at) {
  return at.begin.line == 0 ? file : file + ":" + std::to_string(at.begin.line);
}

}  // namespace

std::string TomlTable::path_of(std::string_view key) const {
  if (key.empty()) return name_;
  return name_.empty() ? shown_key(key) : name_ + "." + shown_key(key);
}

Error TomlTable::wrong(std::string_view key, const std::string& what) const {
  const toml::node* node = table_->get(key);
  return wrong(node != nullptr ? *node : *table_, key, what);
}

Error TomlTable::wrong(const toml::node& node, std::string_view key,
                       const std::string& what) const {
  return make_error(Errc::invalid_argument,
                    place(file_, node.source()) + ": " + path_of(key) + ": " + printable(what));
}

Result<std::optional<std::string>> TomlTable::string(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::optional<std::string>();
  if (!node->is_string()) return wrong(key, "must be a string");
  return std::optional<std::string>(node->as_string()->get());
}

Result<std::optional<bool>> TomlTable::boolean(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::optional<bool>();
  if (!node->is_boolean()) return wrong(key, "must be true or false");
  return std::optional<bool>(node->as_boolean()->get());
}

Result<std::optional<std::vector<std::string>>> TomlTable::strings(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::optional<std::vector<std::string>>();
  if (!node->is_array()) return wrong(key, "must be a list of strings");
  std::vector<std::string> all;
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_string()) return wrong(element, key, "must be a list of strings");
    all.push_back(element.as_string()->get());
  }
  return std::optional<std::vector<std::string>>(std::move(all));
}

Result<std::vector<std::string>> TomlTable::string_or_strings(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::vector<std::string>();
  if (node->is_string()) return std::vector<std::string>{node->as_string()->get()};
  if (!node->is_array()) return wrong(key, "must be a string or a list of strings");
  TRY(auto all, strings(key));
  return *std::move(all);
}

Result<std::vector<TomlTable>> TomlTable::named_tables(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::vector<TomlTable>();
  if (!node->is_table()) return wrong(key, "must be a table");
  std::vector<TomlTable> all;
  for (const auto& [name, value] : *node->as_table()) {
    TomlTable inner(*table_, file_, path_of(key) + "." + shown_key(name.str()));
    if (!value.is_table()) return inner.wrong(value, "", "must be a table");
    inner.table_ = value.as_table();
    inner.own_key_ = name.str();
    all.push_back(std::move(inner));
  }
  // The parser sorts by name; the file's order is the order in which hosts are tried.
  std::stable_sort(all.begin(), all.end(), [](const TomlTable& a, const TomlTable& b) {
    const auto& first = a.table_->source().begin;
    const auto& second = b.table_->source().begin;
    return std::pair(first.line, first.column) < std::pair(second.line, second.column);
  });
  return all;
}

Result<std::vector<TomlTable>> TomlTable::listed_tables(std::string_view key) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::vector<TomlTable>();
  if (!node->is_array()) return wrong(key, "must be a list of tables");
  std::vector<TomlTable> all;
  for (const toml::node& element : *node->as_array()) {
    const std::string name = path_of(key) + "[" + std::to_string(all.size()) + "]";
    if (!element.is_table()) return wrong(element, key, "must be a list of tables");
    all.emplace_back(*element.as_table(), file_, name);
  }
  return all;
}

Result<toml::table> parse_toml(std::string_view text, const std::string& file) {
  const std::size_t deep = line_of_deep_key(text);
  if (deep != 0) {
    return make_error(Errc::invalid_argument,
                      file + ":" + std::to_string(deep) + ": a key has more than 32 parts");
  }
  toml::parse_result parsed = toml::parse(text);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  return make_error(Errc::invalid_argument, place(file, error.source()) + ": not TOML: " +
                                                printable(error.description().substr(0, 240)));
}

}  // namespace berth::image
