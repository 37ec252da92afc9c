// SPDX-License-Identifier: Apache-2.0
// Reading fields of a JSON document whose author is a stranger: every access checks presence and
// type and an error carries the path, as in "manifest: layers[2].size: must be a number". Private
// to this room.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::oci {

// Bounded parse. `kind` ("manifest") begins every error. The document must be an object.
Result<nlohmann::json> parse_document(const char* kind, std::string_view json);

// A view of one value and its path. Borrows the document.
class Field {
 public:
  Field(const char* kind, const nlohmann::json& document) : kind_(kind), value_(&document) {}

  bool present() const { return value_ != nullptr; }
  // A member of an object, or one that is not present. `null` counts as not present. Where there is
  // none of this name, one that differs in case counts, as for every reader that is written in Go.
  Result<Field> member(const char* name) const;
  std::size_t size() const { return value_->size(); }
  Field element(std::size_t index) const;

  // Of a field that is not present: the empty value. A wrong type is an error.
  Result<std::string> string() const;
  Result<std::uint64_t> number() const;
  Result<std::vector<std::string>> strings() const;
  // Strings, or one of them: a command line as docker takes it.
  Result<std::vector<std::string>> words() const;
  Result<std::map<std::string, std::string>> string_map() const;
  Result<std::vector<std::string>> keys() const;  // of an object used as a set
  Status must_be_array() const;                   // and present
  Status must_be_object() const;                  // and present

  Error error(const std::string& what) const;

 private:
  Field(const char* kind, const nlohmann::json* value, std::string path)
      : kind_(kind), value_(value), path_(std::move(path)) {}
  Error wrong_type(const char* wanted) const;

  const char* kind_;
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace berth::oci
