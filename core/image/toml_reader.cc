// SPDX-License-Identifier: Apache-2.0
#include "core/image/toml_reader.h"

#include <algorithm>

namespace berth::image {
namespace {

bool is_bare_key(std::string_view key) {
  constexpr std::string_view kBare =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !key.empty() && key.find_first_not_of(kBare) == std::string_view::npos;
}

// Keys come from the file: what would break a log line is shown as '?'.
std::string shown_key(std::string_view key) {
  if (is_bare_key(key)) return std::string(key);
  std::string out = "\"";
  for (const char c : key.substr(0, 120)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + "\"";
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
                    place(file_, node.source()) + ": " + path_of(key) + ": " + what);
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
  toml::parse_result parsed = toml::parse(text);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  return make_error(Errc::invalid_argument, place(file, error.source()) +
                                                ": not TOML: " + std::string(error.description()));
}

}  // namespace berth::image
