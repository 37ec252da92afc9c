// SPDX-License-Identifier: Apache-2.0
// Typed reading of a TOML table whose errors name file, line and key:
//
//   /etc/berth/certs.d/x/hosts.toml:3: host."https://m".skip_verify: must be true or false
//
// Includes the whole parser. Private to this room.
#pragma once

#include "core/image/config/toml_parser.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::image {

// A table and its name in error texts. Borrows the document.
class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string file, std::string name)
      : table_(&table), file_(std::move(file)), name_(std::move(name)) {}

  const toml::table& table() const { return *table_; }
  // Absent: nullopt or an empty list. Of another type: invalid_argument.
  Result<std::optional<std::string>> string(std::string_view key) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::vector<std::string>>> strings(std::string_view key) const;
  // One string counts as a list of one.
  Result<std::vector<std::string>> string_or_strings(std::string_view key) const;
  // The tables below `key` in the order of the file.
  Result<std::vector<TomlTable>> named_tables(std::string_view key) const;
  // [[key]], [[key]].
  Result<std::vector<TomlTable>> listed_tables(std::string_view key) const;
  // The last part of name(), unquoted.
  const std::string& own_key() const { return own_key_; }

  Error wrong(std::string_view key, const std::string& what) const;
  Error wrong(const toml::node& node, std::string_view key, const std::string& what) const;

 private:
  std::string path_of(std::string_view key) const;

  const toml::table* table_;
  std::string file_;
  std::string name_;  // "" or "host.\"https://m\""
  std::string own_key_;
};

// invalid_argument: "FILE:LINE: not TOML: ...".
Result<toml::table> parse_toml(std::string_view text, const std::string& file);

}  // namespace berth::image
