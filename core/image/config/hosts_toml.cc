// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/hosts_toml.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "core/image/config/route.h"
#include "core/image/config/toml_reader.h"
#include "core/image/http/url.h"

namespace berth::image {
namespace {

std::string absolute(const std::string& directory, const std::string& path) {
  return path.starts_with("/") ? path : directory + "/" + path;
}

Status read_capabilities(const TomlTable& table, HostEntry& entry) {
  TRY(const auto names, table.strings("capabilities"));
  if (!names.has_value() || names->empty()) return {};
  entry.can_pull = entry.can_resolve = entry.can_push = false;
  for (const std::string& name : *names) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "pull") {
      entry.can_pull = true;
    } else if (lower == "resolve") {
      entry.can_resolve = true;
    } else if (lower == "push") {
      entry.can_push = true;
    } else {
      return table.wrong("capabilities", "must be of \"pull\", \"resolve\" and \"push\"");
    }
  }
  return {};
}

// A string is one file with certificate and key; a list has such files, or pairs of files.
Status read_client(const TomlTable& table, const std::string& directory, HostEntry& entry) {
  const toml::node* node = table.table().get("client");
  if (node == nullptr) return {};
  constexpr const char* kForm = "must be a path, a list of paths, or a list of pairs of paths";
  const toml::node* first = node;
  if (node->is_array()) {
    if (node->as_array()->empty()) return {};
    first = node->as_array()->get(0);
  }
  if (first->is_string()) {
    entry.client_cert = absolute(directory, first->as_string()->get());
    entry.client_key = entry.client_cert;
    return {};
  }
  const toml::array* pair = first->as_array();
  if (pair == nullptr || node == first || pair->size() != 2 || !pair->get(0)->is_string() ||
      !pair->get(1)->is_string()) {
    return table.wrong("client", kForm);
  }
  entry.client_cert = absolute(directory, pair->get(0)->as_string()->get());
  entry.client_key = absolute(directory, pair->get(1)->as_string()->get());
  return {};
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kToken =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
  return !name.empty() && name.find_first_not_of(kToken) == std::string_view::npos;
}

bool is_header_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](unsigned char c) { return (c < ' ' && c != '\t') || c == 127; });
}

Status read_headers(const TomlTable& table, HostEntry& entry) {
  const toml::node* node = table.table().get("header");
  if (node == nullptr) return {};
  if (!node->is_table()) return table.wrong("header", "must be a table");
  const TomlTable headers(*node->as_table(), "", "");
  for (const auto& [key, value] : *node->as_table()) {
    const std::string name(key.str());
    const auto fits = [](const toml::node& element) {
      return element.is_string() && is_header_value(element.as_string()->get());
    };
    bool fine = is_header_name(name);
    std::vector<std::string> values;
    if (fits(value)) {
      values.push_back(value.as_string()->get());
    } else if (value.is_array()) {
      for (const toml::node& element : *value.as_array()) {
        fine = fine && fits(element);
        if (fine) values.push_back(element.as_string()->get());
      }
    } else {
      fine = false;
    }
    if (!fine) {
      return table.wrong(value, "header",
                         "`" + (is_header_name(name) ? name : "?") +
                             "`: must be a header's name with a string or a list"
                             " of strings without line breaks");
    }
    // libcurl's form for a header without a value.
    for (const std::string& text : values) {
      entry.headers.push_back(text.empty() ? name + ";" : name + ": " + text);
    }
  }
  return {};
}

Result<HostEntry> read_entry(const TomlTable& table, const std::string& directory,
                             std::string address, std::string_view address_key) {
  HostEntry entry;
  entry.address = std::move(address);
  if (!entry.address.empty()) {
    Result<EndpointAddress> parsed = parse_endpoint_address(entry.address);
    if (!parsed.ok()) return table.wrong(address_key, parsed.error().subject);
  }
  TRY_(read_capabilities(table, entry));
  TRY(entry.ca, table.string_or_strings("ca"));
  for (std::string& path : entry.ca) path = absolute(directory, path);
  TRY_(read_client(table, directory, entry));
  TRY_(read_headers(table, entry));
  TRY(const auto skip_verify, table.boolean("skip_verify"));
  entry.skip_verify = skip_verify.value_or(false);
  TRY(const auto override_path, table.boolean("override_path"));
  entry.override_path = override_path.value_or(false);
  TRY(const auto dial_timeout, table.string("dial_timeout"));
  if (dial_timeout.has_value() && !dial_timeout->empty()) {
    const auto timeout_ms = parse_duration_ms(*dial_timeout);
    if (!timeout_ms.has_value() || *timeout_ms <= 0) {
      return table.wrong("dial_timeout", "must be a duration such as \"5s\" or \"300ms\"");
    }
    entry.dial_timeout_ms = *timeout_ms;
  }
  return entry;
}

}  // namespace

Result<std::vector<HostEntry>> parse_hosts_toml(std::string_view text, const std::string& directory,
                                                const std::string& file) {
  TRY(const toml::table document, parse_toml(text, file));
  const TomlTable root(document, file, "");
  std::vector<HostEntry> entries;
  TRY(const auto hosts, root.named_tables("host"));
  for (const TomlTable& host : hosts) {
    if (host.own_key().empty()) return host.wrong("", "the address of a host is empty");
    TRY(HostEntry entry, read_entry(host, directory, host.own_key(), ""));
    entries.push_back(std::move(entry));
  }
  TRY(auto server, root.string("server"));
  TRY(HostEntry last, read_entry(root, directory, std::move(server).value_or(""), "server"));
  entries.push_back(std::move(last));
  return entries;
}

std::vector<std::string> host_directories(const std::string& root, const std::string& host) {
  if (host.empty() || host.find('/') != std::string::npos || host.starts_with(".")) return {};
  std::vector<std::string> all;
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != std::string::npos && colon > 0 && !host.ends_with("]");
  if (has_port)
    all.push_back(root + "/" + host.substr(0, colon) + "_" + host.substr(colon + 1) + "_");
  all.push_back(root + "/" + host);
  all.push_back(root + "/_default");
  return all;
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  constexpr std::int64_t kDayNs = 86'400'000'000'000;
  struct Unit {
    std::string_view name;
    double ns;
  };
  constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                             {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double total_ns = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (failed != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::size_t size = std::min(text.find_first_of("0123456789."), text.size());
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& u) { return u.name == text.substr(0, size); });
    if (unit == std::end(kUnits)) return std::nullopt;
    total_ns += number * unit->ns;
    if (!(total_ns <= static_cast<double>(kDayNs))) return std::nullopt;
    text.remove_prefix(size);
  }
  return static_cast<std::int64_t>(total_ns / 1e6);
}

}  // namespace berth::image
