// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/config.h"

#include <utility>

namespace berth::image {

Result<RegistryRoute> RegistryConfig::route(const oci::Reference& reference, Access access) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, registries_.current());
  const RegistriesConf::Registry* const registry = find_registry(*registries, reference);
  if (registry != nullptr && registry->blocked) {
    return make_error(Errc::permission_denied,
                      "registry `" + registry->prefix + "` is blocked by " + registry->file);
  }
  const HostsConfig::Directory directory = hosts_.find_directory(reference.domain);
  if (!directory.path.empty() && (!directory.is_default || registry == nullptr)) {
    TRY(const std::vector<ConfiguredHost>* const hosts, hosts_.hosts_of(directory.path));
    if (!hosts->empty()) return routes_.from_hosts(*hosts, reference);
  }
  if (registry != nullptr) return routes_.from_registry(*registry, reference, access);
  return routes_.plain(reference);
}

Result<std::vector<oci::Reference>> RegistryConfig::candidates(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, registries_.current());
  return name_candidates(*registries, text);
}

ImageName RegistryConfig::image_name(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Result<const RegistriesConf*> registries = registries_.current();
  if (registries.ok()) return image::image_name(**registries, text);
  // An id needs no configuration.
  ImageName name = image::image_name(RegistriesConf(), text);
  name.references.clear();
  name.refusal = std::move(registries).error();
  return name;
}

Result<oci::Reference> RegistryConfig::given_name(std::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const RegistriesConf* const registries, registries_.current());
  return image::given_name(*registries, text);
}

}  // namespace berth::image
