// SPDX-License-Identifier: Apache-2.0
// hosts.toml, in the layout and with the meaning of containerd:
//
//   DIR/<host>_<port>_/hosts.toml, DIR/<host>:<port>/, DIR/_default/    the first that exists
//
//   server = "https://registry.example"       # asked last; default: the registry itself
//   [host."https://mirror.example:5000"]      # asked first, in the order of the file
//     capabilities = ["pull", "resolve"]      # default: also "push"
//     ca = "ca.pem"                           # a path or a list, relative to the directory
//     client = [["client.cert", "client.key"]]
//     skip_verify = false
//     override_path = false
//     dial_timeout = "5s"
//     [host."https://mirror.example:5000".header]
//
// Differences: a file that cannot be parsed is an error, it is never ignored. Of several client
// certificates the first is used, because libcurl presents one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::image {

struct HostEntry {
  std::string address;  // as written; empty: the registry of the directory
  bool can_pull = true;
  bool can_resolve = true;
  bool can_push = true;
  bool override_path = false;
  bool skip_verify = false;
  std::int64_t dial_timeout_ms = 0;  // 0: not set
  std::vector<std::string> ca;       // absolute paths
  std::string client_cert;           // absolute path, or empty
  std::string client_key;
  std::vector<std::string> headers;  // "Name: value"
};

// The hosts in the order of the file, then the server, which is always there. Paths are relative to
// `directory`. invalid_argument names `file`, line and key. Values of headers never appear in an
// error.
Result<std::vector<HostEntry>> parse_hosts_toml(std::string_view text, const std::string& directory,
                                                const std::string& file);

// The candidate directories, most specific first; the last is that for every host. Empty if `host`
// cannot be the name of a directory.
std::vector<std::string> host_directories(const std::string& root, const std::string& host);

// A duration as Go writes it: "1.5s", "300ms", "1m30s"; nullopt when it is none, or longer than a
// day.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

}  // namespace berth::image
