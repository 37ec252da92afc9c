// SPDX-License-Identifier: Apache-2.0
// The reading part of RegistryConfig: which files, whether they changed, what they say.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/image/registry/config.h"

namespace berth::image {
namespace {

constexpr std::size_t kFileSizeMax = 1_MiB;

// Absent: nullopt.
Result<std::optional<std::string>> read_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return std::optional<std::string>();
  if (!file.valid()) return sys_error(errno, "open", path);
  std::string text;
  char buffer[16_KiB];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) return sys_error(errno, "read", path);
    if (got == 0) return std::optional<std::string>(std::move(text));
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kFileSizeMax) {
      return make_error(Errc::invalid_argument, path + ": is larger than 1 MiB");
    }
  }
}

// The state of a file, for comparing. An atomic replacement changes the inode, an edit the time.
std::string stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path + "=" + std::to_string(errno) + ";";
  return path + "=" + std::to_string(status.st_dev) + "." + std::to_string(status.st_ino) + "." +
         std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec) + ";";
}

std::string stamp_of(const std::vector<std::string>& paths) {
  std::string all;
  for (const std::string& path : paths) all += stamp_of(path);
  return all;
}

// Names in `directory` that end with `suffix`, sorted; none when it cannot be read.
std::vector<std::string> names_in(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> names;
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name.size() > suffix.size() && name.ends_with(suffix)) names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

bool has_certificate(const std::string& pem) {
  const std::unique_ptr<BIO, BioFree> memory(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509* const certificate = PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr);
  X509_free(certificate);
  return certificate != nullptr;
}

// The configuration cannot be used: not the caller's argument is wrong, but the node's state.
Error unusable(Error error) {
  error.code = Errc::failed_precondition;
  return error;
}

}  // namespace

std::string RegistryConfig::find_directory(const std::string& domain, bool& is_default) const {
  is_default = false;
  if (options_.config_dir.empty()) return {};
  for (const std::string& path : host_directories(options_.config_dir, domain)) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) continue;
    is_default = path.ends_with("/_default");
    return path;
  }
  return {};
}

Result<const RegistryConfig::Hosts*> RegistryConfig::hosts_of(const std::string& directory) {
  Hosts& hosts = hosts_[directory];
  std::string stamp = stamp_of({directory, directory + "/hosts.toml"}) + stamp_of(hosts.files);
  if (hosts.known && stamp == hosts.stamp) return &hosts;
  Hosts fresh;
  Status read = read_hosts(directory, fresh);
  if (read.ok()) {
    fresh.known = true;
    fresh.stamp = stamp_of({directory, directory + "/hosts.toml"}) + stamp_of(fresh.files);
    hosts = std::move(fresh);
    return &hosts;
  }
  if (!hosts.known) return unusable(std::move(read).error());
  log_.warn("image", "the configuration read before stays in force: " + read.error().message());
  hosts.stamp = std::move(stamp);
  return &hosts;
}

Status RegistryConfig::read_hosts(const std::string& directory, Hosts& hosts) {
  const std::string file = directory + "/hosts.toml";
  TRY(const auto text, read_file(file));
  if (!text.has_value()) return read_certificates(directory, hosts);
  TRY(std::vector<HostEntry> entries, parse_hosts_toml(*text, directory, file));
  for (HostEntry& entry : entries) {
    ConfiguredHost host;
    Status loaded = load_tls(entry, hosts, host);
    if (!loaded.ok()) {
      const std::string key = entry.address.empty() ? "the server" : entry.address;
      return std::move(loaded).error().with(file + ": " + key);
    }
    host.entry = std::move(entry);
    hosts.hosts.push_back(std::move(host));
  }
  return {};
}

// Docker's layout, which containerd knows too: *.crt are authorities, X.cert with X.key is the
// client's certificate.
Status RegistryConfig::read_certificates(const std::string& directory, Hosts& hosts) {
  ConfiguredHost host;
  for (const std::string& name : names_in(directory, ".crt")) {
    host.entry.ca.push_back(directory + "/" + name);
  }
  const std::vector<std::string> certificates = names_in(directory, ".cert");
  if (!certificates.empty()) {
    host.entry.client_cert = directory + "/" + certificates.front();
    const std::size_t stem = host.entry.client_cert.size() - std::string_view(".cert").size();
    host.entry.client_key = host.entry.client_cert.substr(0, stem) + ".key";
  }
  if (host.entry.ca.empty() && host.entry.client_cert.empty()) return {};
  TRY_(load_tls(host.entry, hosts, host));
  hosts.hosts.push_back(std::move(host));
  return {};
}

Status RegistryConfig::load_tls(const HostEntry& entry, Hosts& hosts, ConfiguredHost& host) {
  TlsOptions tls;
  for (const std::string& path : entry.ca) {
    hosts.files.push_back(path);
    TRY(const auto pem, read_file(path));
    if (!pem.has_value()) return sys_error(ENOENT, "open", path).with("ca");
    if (!has_certificate(*pem)) {
      return make_error(Errc::invalid_argument, "ca: " + path + ": has no certificate in it");
    }
    tls.ca_pem += *pem + "\n";
  }
  if (!entry.client_cert.empty()) {
    for (const std::string& path : {entry.client_cert, entry.client_key}) {
      hosts.files.push_back(path);
      if (::access(path.c_str(), R_OK) != 0) return sys_error(errno, "access", path).with("client");
    }
    tls.client_cert = entry.client_cert;
    tls.client_key = entry.client_key;
  }
  tls.skip_verify = entry.skip_verify;
  host.tls = std::make_shared<const TlsOptions>(std::move(tls));
  return {};
}

Result<const RegistriesConf*> RegistryConfig::conf() {
  if (options_.registries_conf.empty()) return &conf_.conf;
  const std::string drop_ins = options_.registries_conf + ".d";
  std::vector<std::string> files = {options_.registries_conf};
  for (const std::string& name : names_in(drop_ins, ".conf")) {
    files.push_back(drop_ins + "/" + name);
  }
  std::string stamp = stamp_of(files);
  if (conf_.known && stamp == conf_.stamp) return &conf_.conf;
  RegistriesConf fresh;
  Status read;
  for (const std::string& file : files) {
    Result<std::optional<std::string>> text = read_file(file);
    if (!text.ok()) {
      read = std::move(text).error();
    } else if (text->has_value()) {
      read = merge_registries_conf(**text, file, fresh);
    }
    if (!read.ok()) break;
  }
  if (!read.ok() && !conf_.known) return unusable(std::move(read).error());
  conf_.stamp = std::move(stamp);
  if (read.ok()) {
    conf_.conf = std::move(fresh);
    conf_.known = true;
  } else {
    log_.warn("image", "the configuration read before stays in force: " + read.error().message());
  }
  return &conf_.conf;
}

}  // namespace berth::image
