// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/names.h"

#include <charconv>
#include <map>

namespace berth::image {
namespace {

Error damaged(const std::string& what) {
  return make_error(Errc::invalid_argument, "the tar is damaged: " + what);
}

// The size field of a header (pax(1), ustar): octal between blanks, or GNU's base 256.
std::size_t body_size(std::string_view header) {
  const std::string_view field = header.substr(124, 12);
  std::uint64_t size = 0;
  if ((field[0] & '\x80') != 0) {
    for (const char c : field.substr(4)) size = size << 8 | static_cast<unsigned char>(c);
    return size;
  }
  std::size_t at = 0;
  while (at < field.size() && field[at] == ' ') ++at;
  for (; at < field.size() && field[at] >= '0' && field[at] <= '7'; ++at) {
    size = size << 3 | static_cast<std::uint64_t>(field[at] - '0');
  }
  return size;
}

// pax(1): a sequence of "LENGTH KEY=VALUE\n", where LENGTH is the decimal length of the whole
// record. NULs after the last record are padding that a writer counted.
Result<std::map<std::string_view, std::string_view>> parse_records(std::string_view body) {
  std::map<std::string_view, std::string_view> records;
  while (body.find_first_not_of('\0') != std::string_view::npos) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), length);
    const auto digits = static_cast<std::size_t>(end - body.data());
    const bool framed = error == std::errc() && length <= body.size() && digits + 2 <= length &&
                        body[digits] == ' ' && body[length - 1] == '\n';
    if (!framed) return damaged("a record of a pax header has a wrong length");
    const std::string_view record = body.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return damaged("a record of a pax header has no name");
    }
    records[record.substr(0, equals)] = record.substr(equals + 1);
    body.remove_prefix(length);
  }
  return records;
}

class Names {
 public:
  Status take(char type, std::string_view body) {
    if (type == 'L') long_name_ = std::string(body.substr(0, body.find('\0')));
    if (type == 'K') long_target_ = std::string(body.substr(0, body.find('\0')));
    if (type != 'x' && type != 'X') return {};
    pax_ = {};
    TRY(const auto records, parse_records(body));
    TRY_(pick(records, "path", pax_.name));
    TRY_(pick(records, "GNU.sparse.name", pax_.name));
    return pick(records, "linkpath", pax_.target);
  }

  RawNames finish() && {
    if (long_name_.has_value()) pax_.name = std::move(long_name_);
    if (long_target_.has_value()) pax_.target = std::move(long_target_);
    return std::move(pax_);
  }

 private:
  // An empty value deletes the value of an earlier header.
  static Status pick(const std::map<std::string_view, std::string_view>& records,
                     std::string_view key, std::optional<std::string>& into) {
    const auto found = records.find(key);
    if (found == records.end() || found->second.empty()) return {};
    if (found->second.find('\0') != std::string_view::npos) {
      return damaged("the pax record `" + std::string(key) + "` has a NUL");
    }
    into = std::string(found->second);
    return {};
  }

  RawNames pax_;
  std::optional<std::string> long_name_;
  std::optional<std::string> long_target_;
};

// Headers that come before an entry's own and have a body: pax for one entry or for all that
// follow, GNU's long names, Solaris' access lists.
bool has_body(char type) {
  return type == 'x' || type == 'X' || type == 'g' || type == 'L' || type == 'K' || type == 'A';
}

}  // namespace

Result<RawNames> read_raw_names(std::string_view headers) {
  Names names;
  while (headers.size() >= kTarBlock) {
    const char type = headers[156];
    const bool is_label = type == 'V';  // of a volume; libarchive skips it
    if (!has_body(type) && !is_label) break;
    const std::size_t size = is_label ? 0 : body_size(headers);
    headers.remove_prefix(kTarBlock);
    const std::size_t padded = (size + kTarBlock - 1) / kTarBlock * kTarBlock;
    if (size > headers.size() || padded > headers.size()) {
      return damaged("an extended header is larger than what is there");
    }
    TRY_(names.take(type, headers.substr(0, size)));
    headers.remove_prefix(padded);
  }
  return std::move(names).finish();
}

}  // namespace berth::image
