// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/hosts_config.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "core/image/config/config_file.h"

namespace berth::image {
namespace {

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

std::string stamp_of_directory(const std::string& directory,
                               const std::vector<std::string>& certificates) {
  return stamp_of({directory, directory + "/hosts.toml"}) + stamp_of(certificates);
}

}  // namespace

HostsConfig::Directory HostsConfig::find_directory(const std::string& domain) const {
  if (root_.empty()) return {};
  for (const std::string& path : host_directories(root_, domain)) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) continue;
    return {path, path.ends_with("/_default")};
  }
  return {};
}

Result<const std::vector<ConfiguredHost>*> HostsConfig::hosts_of(const std::string& directory) {
  Reading& reading = readings_[directory];
  std::string stamp = stamp_of_directory(directory, reading.files);
  if (reading.is_valid && stamp == reading.stamp) return &reading.hosts;
  Reading fresh;
  Status status = read(directory, fresh);
  if (status.ok()) {
    fresh.is_valid = true;
    fresh.stamp = stamp_of_directory(directory, fresh.files);
    reading = std::move(fresh);
    return &reading.hosts;
  }
  if (!reading.is_valid) return unusable(std::move(status).error());
  log_.warn("image", "the configuration read before stays in force: " + status.error().message());
  reading.stamp = std::move(stamp);
  return &reading.hosts;
}

Status HostsConfig::read(const std::string& directory, Reading& reading) {
  const std::string file = directory + "/hosts.toml";
  TRY(const auto text, read_config_file(file));
  if (!text.has_value()) return read_certificates(directory, reading);
  TRY(std::vector<HostEntry> entries, parse_hosts_toml(*text, directory, file));
  for (HostEntry& entry : entries) {
    ConfiguredHost host;
    Status loaded = load_tls(entry, reading, host);
    if (!loaded.ok()) {
      const std::string key = entry.address.empty() ? "the server" : entry.address;
      return std::move(loaded).error().with(file + ": " + key);
    }
    host.entry = std::move(entry);
    reading.hosts.push_back(std::move(host));
  }
  return {};
}

// Docker's layout, which containerd also reads: each *.crt is an authority, X.cert with X.key is
// the client's certificate.
Status HostsConfig::read_certificates(const std::string& directory, Reading& reading) {
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
  TRY_(load_tls(host.entry, reading, host));
  reading.hosts.push_back(std::move(host));
  return {};
}

Status HostsConfig::load_tls(const HostEntry& entry, Reading& reading, ConfiguredHost& host) {
  TlsOptions tls;
  for (const std::string& path : entry.ca) {
    reading.files.push_back(path);
    TRY(const auto pem, read_config_file(path));
    if (!pem.has_value()) return sys_error(ENOENT, "open", path).with("ca");
    if (!has_certificate(*pem)) {
      return make_error(Errc::invalid_argument, "ca: " + path + ": has no certificate in it");
    }
    tls.ca_pem += *pem + "\n";
  }
  if (!entry.client_cert.empty()) {
    for (const std::string& path : {entry.client_cert, entry.client_key}) {
      reading.files.push_back(path);
      if (::access(path.c_str(), R_OK) != 0) return sys_error(errno, "access", path).with("client");
    }
    tls.client_cert = entry.client_cert;
    tls.client_key = entry.client_key;
  }
  tls.skip_verify = entry.skip_verify;
  host.tls = std::make_shared<const TlsOptions>(std::move(tls));
  return {};
}

}  // namespace berth::image
