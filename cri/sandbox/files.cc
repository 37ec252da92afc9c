// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/linux/mount.h"
#include "core/linux/openat2.h"
#include "core/ring/offload.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/network.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kShm = "shm";
constexpr const char* kHosts = "hosts";
constexpr const char* kHostname = "hostname";
constexpr const char* kResolvConf = "resolv.conf";

struct PodFile {
  const char* name;
  std::string text;
};

std::string resolv_conf_of(const records::SandboxRecord& record) {
  if (record.config().has_dns_config() || record.network_result().has_dns()) {
    return resolv_conf_text(dns_of(record));
  }
  // A pod without a DNS config resolves as the node does.
  constexpr std::size_t kResolvConfBytesMax = 64 * 1024;
  Result<std::string> host =
      sys::read_small_file(AT_FDCWD, "/etc/resolv.conf", kResolvConfBytesMax);
  return host.ok() ? std::move(*host) : std::string();
}

std::vector<PodFile> files_of(const records::SandboxRecord& record) {
  return {{kHosts, hosts_text(record)},
          {kHostname, hostname_of(record.config()) + "\n"},
          {kResolvConf, resolv_conf_of(record)}};
}

Status write_file(int directory, const std::string& name, const std::string& text) {
  TRY(const UniqueFd file, sys::openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return sys_error(errno == 0 ? ENOSPC : errno, "write", name);
  }
  return {};
}

bool are_on_disk(const std::string& directory) {
  for (const char* name : {kHosts, kHostname, kResolvConf}) {
    if (::access((directory + "/" + name).c_str(), F_OK) != 0) return false;
  }
  return true;
}

// Each file is renamed into place when it is complete: after a crash it is whole or absent.
Status write_on_disk(const std::string& pods, const std::string& directory,
                     const records::SandboxRecord& record) {
  TRY_(sys::mkdir_if_missing(AT_FDCWD, pods, 0711));
  TRY_(sys::mkdir_if_missing(AT_FDCWD, directory, 0711));
  for (const PodFile& file : files_of(record)) {
    const std::string path = directory + "/" + file.name;
    if (::access(path.c_str(), F_OK) == 0) continue;
    const std::string aside = path + ".new";
    TRY_(write_file(AT_FDCWD, aside, file.text));
    if (::rename(aside.c_str(), path.c_str()) != 0) return sys_error(errno, "rename", path);
  }
  return {};
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += " " + word;
  return line;
}

}  // namespace

std::string hosts_text(const records::SandboxRecord& record) {
  const std::string hostname = hostname_of(record.config());
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const std::string& ip : record.ips()) text += ip + "\t" + hostname + "\n";
  // Without an address the name still resolves, to the pod itself.
  if (record.ips().empty()) text += "127.0.0.1\t" + hostname + "\n";
  return text;
}

std::string resolv_conf_text(const v1::DNSConfig& dns) {
  std::string text;
  if (dns.searches_size() > 0) text += "search" + joined(dns.searches()) + "\n";
  for (const std::string& server : dns.servers()) text += "nameserver " + server + "\n";
  if (dns.options_size() > 0) text += "options" + joined(dns.options()) + "\n";
  return text;
}

Result<UniqueFd> KernelSandboxFiles::make(const records::SandboxRecord& record) {
  TRY(sys::UniqueMount mount,
      sys::mount_filesystem("tmpfs", "mode=755,size=65536k",
                            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (::mkdirat(mount.get(), kShm, 0700) != 0 || ::fchmodat(mount.get(), kShm, 01777, 0) != 0) {
    return sys_error(errno, "mkdir", "the pod's /dev/shm");
  }
  for (const PodFile& file : files_of(record)) {
    TRY_(write_file(mount.get(), file.name, file.text));
  }
  return mount.release();
}

Task<PodFiles> KernelSandboxFiles::find(const Sandbox& sandbox,
                                        const records::SandboxRecord& record) {
  if (clones_detached_) {
    co_return PodFiles{.directory = sandbox.tmpfs.get(),
                       .shm = kShm,
                       .hosts = kHosts,
                       .hostname = kHostname,
                       .resolv_conf = kResolvConf};
  }
  const std::string directory = directory_of(record.id());
  if (!are_on_disk(directory)) {
    const auto write = [this, &directory, &record]() {
      return write_on_disk(pods_, directory, record);
    };
    co_await offload(ring_, write);
  }
  co_return PodFiles{.directory = AT_FDCWD,
                     .shm = {},
                     .hosts = directory + "/" + kHosts,
                     .hostname = directory + "/" + kHostname,
                     .resolv_conf = directory + "/" + kResolvConf};
}

Task<void> KernelSandboxFiles::remove(std::string sandbox_id) {
  const std::string directory = directory_of(sandbox_id);
  if (::access(directory.c_str(), F_OK) != 0) co_return;
  const auto remove_all = [&directory]() -> Status {
    std::error_code failed;
    std::filesystem::remove_all(directory, failed);
    if (failed) return sys_error(failed.value(), "remove_all", directory);
    return {};
  };
  co_await offload(ring_, remove_all);
}

std::vector<std::string> KernelSandboxFiles::remove_unknown(
    const std::function<bool(std::string_view sandbox_id)>& is_known) {
  std::error_code failed;
  std::vector<std::string> unknown;
  for (std::filesystem::directory_iterator entry(pods_, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (!is_known(entry->path().filename().string())) unknown.push_back(entry->path().string());
  }
  for (const std::string& path : unknown) std::filesystem::remove_all(path, failed);
  return unknown;
}

}  // namespace berth::cri
