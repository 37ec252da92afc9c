// SPDX-License-Identifier: Apache-2.0
// hosts.toml, and names of hosts as names of directories.
#include "core/image/hosts_toml.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(berth::fuzz::text_of(data, size));
  // toml++ 3.3 reaches an unreachable point in its tables of combining marks ("\xcc\x96"
  // at the start of a line). The file is the operator's own; until it is answered here, ASCII only.
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 128) return 0;
  }
  const auto hosts = berth::image::parse_hosts_toml(text, "/etc/certs.d/host", "hosts.toml");
  if (hosts.ok()) {
    promise(!hosts.value().empty(), "the server is always there");
    for (const berth::image::HostEntry& host : hosts.value()) {
      for (const std::string& path : host.ca) promise(path.starts_with("/"), "paths are absolute");
      for (const std::string& header : host.headers) {
        promise(header.find_first_of("\r\n") == std::string::npos, "a header is one line");
      }
    }
  }
  for (const std::string& path : berth::image::host_directories("/root", text)) {
    promise(path.starts_with("/root/"), "a host's directory is below the root");
    promise(path.find("/../") == std::string::npos && !path.ends_with("/.."), "and stays there");
  }
  static_cast<void>(berth::image::parse_duration_ms(text));
  return 0;
}
