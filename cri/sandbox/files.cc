// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/unique_fd.h"
#include "core/linux/openat2.h"
#include "cri/sandbox/namespaces.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Status write_if_missing(const std::string& path, const std::string& text) {
  if (is_there(path)) return {};
  const std::string aside = path + ".new";
  const UniqueFd file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return sys_error(errno, "open", aside);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return sys_error(errno == 0 ? ENOSPC : errno, "write", aside);
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) return sys_error(errno, "rename", path);
  return {};
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += " " + word;
  return line;
}

}  // namespace

std::string hosts_text(const std::string& hostname, const std::vector<std::string>& ips) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const std::string& ip : ips) text += ip + "\t" + hostname + "\n";
  // Without an address the name still resolves, to the pod itself.
  if (ips.empty()) text += "127.0.0.1\t" + hostname + "\n";
  return text;
}

std::string resolv_conf_text(const v1::DNSConfig& dns) {
  std::string text;
  if (dns.searches_size() > 0) text += "search" + joined(dns.searches()) + "\n";
  for (const std::string& server : dns.servers()) text += "nameserver " + server + "\n";
  if (dns.options_size() > 0) text += "options" + joined(dns.options()) + "\n";
  return text;
}

Result<PodFiles> make_pod_files(const store::Layout& layout, const std::string& pod_id,
                                const v1::PodSandboxConfig& config,
                                const std::vector<std::string>& ips) {
  PodFiles files{layout.pod_hosts(pod_id), layout.pod_hostname(pod_id),
                 layout.pod_resolv_conf(pod_id)};
  if (is_there(files.hosts) && is_there(files.hostname) && is_there(files.resolv_conf))
    return files;
  TRY_(sys::mkdir_if_missing(AT_FDCWD, layout.pods(), 0711));
  TRY_(sys::mkdir_if_missing(AT_FDCWD, layout.pod(pod_id), 0711));
  const std::string hostname = hostname_of(config);
  TRY_(write_if_missing(files.hosts, hosts_text(hostname, ips)));
  TRY_(write_if_missing(files.hostname, hostname + "\n"));
  if (config.has_dns_config()) {
    TRY_(write_if_missing(files.resolv_conf, resolv_conf_text(config.dns_config())));
  } else {
    // Without an order of its own the pod resolves as the node does.
    constexpr std::size_t kResolvConfBytesMax = 64 * 1024;
    Result<std::string> host =
        sys::read_small_file(AT_FDCWD, "/etc/resolv.conf", kResolvConfBytesMax);
    TRY_(write_if_missing(files.resolv_conf, host.ok() ? *host : std::string()));
  }
  return files;
}

Status remove_pod_files(const store::Layout& layout, const std::string& pod_id) {
  std::error_code failed;
  std::filesystem::remove_all(layout.pod(pod_id), failed);
  if (failed) return sys_error(failed.value(), "remove_all", layout.pod(pod_id));
  return {};
}

}  // namespace berth::cri
