// SPDX-License-Identifier: Apache-2.0
#include "core/oci/document.h"

#include <strings.h>

#include <cstring>

#include "core/base/text.h"
#include "core/oci/image.h"
#include "core/oci/json_shape.h"

namespace berth::oci {
namespace {

using nlohmann::json;

constexpr std::size_t kKeyShown = 64;  // enough to tell which is meant

}  // namespace

Result<json> parse_document(const char* kind, std::string_view text) {
  if (text.size() > kDocumentSizeMax) {
    return make_error(Errc::invalid_argument,
                      std::string(kind) + ": " + std::to_string(text.size()) +
                          " bytes, more than the " + std::to_string(kDocumentSizeMax) + " allowed");
  }
  TRY_(check_json_shape(kind, text));
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) document = json::parse(with_valid_text(text), nullptr, false);
  if (document.is_discarded()) {
    return make_error(Errc::invalid_argument, std::string(kind) + ": is not valid JSON");
  }
  if (!document.is_object()) {
    return make_error(Errc::invalid_argument, std::string(kind) + ": is not a JSON object");
  }
  return document;
}

Error Field::error(const std::string& what) const {
  std::string sentence = kind_;
  if (!path_.empty()) sentence += ": " + path_;
  return make_error(Errc::invalid_argument, sentence + ": " + what);
}

Error Field::wrong_type(const char* wanted) const {
  const char* is = value_ == nullptr ? "missing" : value_->type_name();
  return error(std::string("must be ") + wanted + ", is " + is);
}

Result<Field> Field::member(const char* name) const {
  std::string path = path_.empty() ? name : path_ + "." + name;
  if (value_ == nullptr) return Field(kind_, nullptr, std::move(path));
  if (!value_->is_object()) return wrong_type("an object");
  auto found = value_->find(name);
  for (auto other = value_->begin(); found == value_->end() && other != value_->end(); ++other) {
    const std::string& key = other.key();
    const bool same = key.size() == std::strlen(name) && ::strcasecmp(key.c_str(), name) == 0;
    if (same) found = other;
  }
  const bool absent = found == value_->end() || found->is_null();
  return Field(kind_, absent ? nullptr : &*found, std::move(path));
}

Field Field::element(std::size_t index) const {
  return Field(kind_, &(*value_)[index], path_ + "[" + std::to_string(index) + "]");
}

Result<std::string> Field::string() const {
  if (value_ == nullptr) return std::string();
  if (!value_->is_string()) return wrong_type("a string");
  const std::string& text = value_->get_ref<const std::string&>();
  // Everything here ends as a C string sooner or later.
  if (text.find('\0') != std::string::npos) return error("contains a NUL byte");
  return text;
}

Result<std::uint64_t> Field::number() const {
  if (value_ == nullptr) return std::uint64_t{0};
  if (!value_->is_number_integer()) return wrong_type("an integer");
  if (!value_->is_number_unsigned() && value_->get<std::int64_t>() < 0) {
    return error("must not be negative");
  }
  return value_->get<std::uint64_t>();
}

Result<std::vector<std::string>> Field::strings() const {
  std::vector<std::string> all;
  if (value_ == nullptr) return all;
  if (!value_->is_array()) return wrong_type("an array");
  all.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    const Field item = element(i);
    if (!item.value_->is_string()) return item.wrong_type("a string");
    TRY(std::string text, item.string());
    all.push_back(std::move(text));
  }
  return all;
}

Result<std::vector<std::string>> Field::words() const {
  if (value_ == nullptr || !value_->is_string()) return strings();
  TRY(std::string word, string());
  std::vector<std::string> all;
  if (!word.empty()) all.push_back(std::move(word));
  return all;
}

Result<std::map<std::string, std::string>> Field::string_map() const {
  std::map<std::string, std::string> all;
  if (value_ == nullptr) return all;
  if (!value_->is_object()) return wrong_type("an object");
  for (const auto& item : value_->items()) {
    const Field field(kind_, &item.value(), path_ + "." + shortened(item.key(), kKeyShown));
    // Builders write null for an empty label.
    if (item.value().is_null()) {
      all.emplace(item.key(), "");
      continue;
    }
    TRY(std::string text, field.string());
    all.emplace(item.key(), std::move(text));
  }
  return all;
}

Result<std::vector<std::string>> Field::keys() const {
  std::vector<std::string> all;
  if (value_ == nullptr) return all;
  if (!value_->is_object()) return wrong_type("an object");
  for (const auto& item : value_->items()) all.push_back(item.key());
  return all;
}

Status Field::must_be_array() const {
  if (value_ == nullptr || !value_->is_array()) return wrong_type("an array");
  return {};
}

Status Field::must_be_object() const {
  if (value_ == nullptr || !value_->is_object()) return wrong_type("an object");
  return {};
}

}  // namespace berth::oci
