// SPDX-License-Identifier: Apache-2.0
#include "core/oci/reference.h"

#include "core/base/text.h"

namespace berth::oci {
namespace {

constexpr std::size_t kNameSizeMax = 255;  // domain and path, as registries bound it
constexpr std::size_t kTagSizeMax = 128;
constexpr std::string_view kDefaultDomain = "docker.io";

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
  return is_lower(c) || is_upper(c) || is_digit(c);
}

Error malformed(std::string_view text, const std::string& what) {
  return make_error(Errc::invalid_argument, "image reference " + quoted(text) + ": " + what);
}

// The part before the first '/' is a host when it cannot be a repository: it has a dot, a port or a
// capital letter, or it is "localhost".
bool looks_like_domain(std::string_view part) {
  if (part == "localhost" || part.find_first_of(".:[") != std::string_view::npos) return true;
  for (const char c : part) {
    if (is_upper(c)) return true;
  }
  return false;
}

bool valid_port(std::string_view port) {
  if (port.empty() || port.size() > 5) return false;
  unsigned number = 0;
  for (const char c : port) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number >= 1 && number <= 65535;
}

bool valid_host(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdefABCDEF:.") ==
           std::string_view::npos;
  }
  bool label_start = true;
  char before = '.';
  for (const char c : host) {
    if (c == '.') {
      if (label_start || before == '-') return false;
      label_start = true;
    } else if (is_alphanumeric(c) || (c == '-' && !label_start)) {
      label_start = false;
    } else {
      return false;
    }
    before = c;
  }
  return !label_start && before != '-';
}

Status check_domain(std::string_view whole, std::string_view domain) {
  std::string_view host = domain;
  const std::size_t bracket = domain.rfind(']');
  const std::size_t colon = domain.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    host = domain.substr(0, colon);
    if (!valid_port(domain.substr(colon + 1))) {
      return malformed(whole, "the port of the registry is not a number from 1 to 65535");
    }
  }
  if (!valid_host(host)) return malformed(whole, "the registry's host name is not valid");
  return {};
}

bool is_separator(char c) {
  return c == '.' || c == '_' || c == '-';
}
bool fits_between_words(std::string_view separator) {
  return separator == "." || separator == "_" || separator == "__" ||
         separator.find_first_not_of('-') == std::string_view::npos;
}

// path-component: words of [a-z0-9] joined by one '.', one or two '_', or any number of '-'.
Status check_component(std::string_view whole, std::string_view component) {
  if (component.empty()) return malformed(whole, "a part between slashes is empty");
  std::size_t at = 0;
  while (true) {
    const std::size_t word = at;
    while (at < component.size() && (is_lower(component[at]) || is_digit(component[at]))) ++at;
    if (at == component.size() && at > word) return {};
    if (at == component.size() || (at == word && is_separator(component[at]))) {
      return malformed(whole, "a part of the name begins or ends with `.`, `_` or `-`");
    }
    if (is_upper(component[at])) return malformed(whole, "the name has a capital letter");
    const std::size_t separator = at;
    while (at < component.size() && is_separator(component[at])) ++at;
    if (at == separator) return malformed(whole, "the name has a character that is not allowed");
    const std::string_view between = component.substr(separator, at - separator);
    if (!fits_between_words(between)) {
      return malformed(whole, "`" + std::string(between) + "` cannot join parts of a name");
    }
  }
}

Status check_path(std::string_view whole, std::string_view path) {
  while (true) {
    const std::size_t slash = path.find('/');
    TRY_(check_component(whole, path.substr(0, slash)));
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

Status check_tag(std::string_view whole, std::string_view tag) {
  if (tag.empty()) return malformed(whole, "the tag after `:` is empty");
  if (tag.size() > kTagSizeMax) return malformed(whole, "the tag is longer than 128 characters");
  for (std::size_t i = 0; i < tag.size(); ++i) {
    const bool allowed =
        is_alphanumeric(tag[i]) || tag[i] == '_' || (i > 0 && (tag[i] == '.' || tag[i] == '-'));
    if (!allowed) return malformed(whole, "the tag has a character that is not allowed");
  }
  return {};
}

bool is_hex_id(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// Splits "domain/path" into its normal form.
Status split_name(std::string_view whole, std::string_view name, Reference& reference) {
  if (name.empty()) return malformed(whole, "there is no name");
  if (is_hex_id(name)) {
    return malformed(whole, "64 hex digits are an image id, not the name of a repository");
  }
  const std::size_t slash = name.find('/');
  std::string_view domain = kDefaultDomain;
  std::string_view path = name;
  if (slash != std::string_view::npos && looks_like_domain(name.substr(0, slash))) {
    domain = name.substr(0, slash);
    path = name.substr(slash + 1);
    TRY_(check_domain(whole, domain));
  }
  // Docker's registry is known by an older name too.
  if (domain == "index.docker.io") domain = kDefaultDomain;
  TRY_(check_path(whole, path));
  reference.domain = domain;
  const bool official = domain == kDefaultDomain && path.find('/') == std::string_view::npos;
  reference.path = (official ? "library/" : "") + std::string(path);
  if (reference.repository().size() > kNameSizeMax) {
    return malformed(whole, "the name is longer than 255 characters");
  }
  return {};
}

}  // namespace

std::string Reference::text() const {
  std::string all = tag.empty() ? repository() : tagged();
  if (!digest.empty()) all += "@" + digest.text();
  return all;
}

std::string Reference::registry_host() const {
  return domain == kDefaultDomain ? "registry-1.docker.io" : domain;
}

Result<Reference> parse_reference(std::string_view text) {
  constexpr std::size_t kTextSizeMax = 4096;  // nothing valid is longer; spares the scans below
  if (text.empty()) return make_error(Errc::invalid_argument, "image reference is empty");
  if (text.size() > kTextSizeMax) return malformed(text, "it is longer than 4096 bytes");

  Reference reference;
  std::string_view rest = text;
  const std::size_t at = rest.find('@');
  if (at != std::string_view::npos) {
    Result<Digest> digest = Digest::parse(rest.substr(at + 1));
    if (!digest.ok()) return malformed(text, digest.error().subject);
    reference.digest = *std::move(digest);
    rest = rest.substr(0, at);
  }
  const std::size_t colon = rest.rfind(':');
  const std::size_t slash = rest.rfind('/');
  // A colon before the last slash belongs to a port.
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    TRY_(check_tag(text, rest.substr(colon + 1)));
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  TRY_(split_name(text, rest, reference));
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

}  // namespace berth::oci
