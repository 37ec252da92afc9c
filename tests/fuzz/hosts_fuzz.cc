// SPDX-License-Identifier: Apache-2.0
// hosts.toml and registries.conf, and the directory names of hosts.
#include "core/image/config/hosts_toml.h"
#include "core/image/config/registries_conf.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(berth::fuzz::text_of(data, size));
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
  if (!hosts.ok()) berth::fuzz::promise_one_line(hosts.error().message());
  berth::image::RegistriesConf conf;
  const auto merged = berth::image::merge_registries_conf(text, "registries.conf", conf);
  if (!merged.ok()) berth::fuzz::promise_one_line(merged.error().message());
  for (const std::string& path : berth::image::host_directories("/root", text)) {
    promise(path.starts_with("/root/"), "a host's directory is below the root");
    promise(path.find("/../") == std::string::npos && !path.ends_with("/.."), "and stays there");
  }
  static_cast<void>(berth::image::parse_duration_ms(text));
  return 0;
}
