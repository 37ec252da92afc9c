// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/resolve.h"

#include <string>
#include <utility>

#include "core/base/units.h"
#include "cri/field.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/port_mappings.h"
#include "cri/spec/resources.h"
#include "cri/spec/sysctl.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::size_t kConfigBytesMax = 1_MiB;
constexpr std::size_t kHostnameBytesMax = 64;  // __NEW_UTS_LEN

Status check_metadata(const v1::PodSandboxConfig& config) {
  if (!config.has_metadata()) return invalid_field("config.metadata", "is required");
  TRY_(check_name("config.metadata.name", config.metadata().name()));
  TRY_(check_name("config.metadata.namespace", config.metadata().namespace_()));
  return check_name("config.metadata.uid", config.metadata().uid());
}

Status check_dns(const v1::DNSConfig& dns) {
  for (const auto* list : {&dns.servers(), &dns.searches(), &dns.options()}) {
    for (const std::string& entry : *list) TRY_(check_name("config.dns_config", entry));
  }
  return {};
}

Status check_namespaces(const v1::LinuxPodSandboxConfig& config) {
  const v1::NamespaceOption& options = config.security_context().namespace_options();
  const auto pod_or_node = [](const char* field, v1::NamespaceMode mode) -> Status {
    if (mode == v1::NamespaceMode::POD || mode == v1::NamespaceMode::NODE) return {};
    return invalid_field(std::string("config.linux.security_context.namespace_options.") + field,
                         "a sandbox takes POD or NODE, not " + v1::NamespaceMode_Name(mode));
  };
  TRY_(pod_or_node("network", options.network()));
  TRY_(pod_or_node("ipc", options.ipc()));
  if (options.pid() == v1::NamespaceMode::TARGET) return pod_or_node("pid", options.pid());
  if (options.has_userns_options() && options.userns_options().mode() != v1::NamespaceMode::NODE) {
    return make_error(Errc::unimplemented,
                      "config.linux.security_context.namespace_options.userns_options: user "
                      "namespaces are not supported by this runtime handler");
  }
  return {};
}

Result<std::map<std::string, std::string>> sysctl_of(const v1::PodSandboxConfig& config) {
  std::map<std::string, std::string> values;
  const plugins::SandboxNamespaces namespaces = namespaces_of(config);
  for (const auto& [name, value] : config.linux().sysctls()) {
    const std::string field = "config.linux.sysctls[" + shown(name) + "]";
    TRY_(check_name(field, name));
    TRY_(check_name_if_set(field, value));
    TRY(std::string path, sysctl_path(field, name, namespaces));
    values[std::move(path)] = value;
  }
  return values;
}

}  // namespace

Result<ResolvedSandbox> resolve(const v1::RunPodSandboxRequest& request) {
  ResolvedSandbox resolved;
  if (!request.has_config()) return invalid_field("config", "is required");
  const v1::PodSandboxConfig& config = request.config();
  TRY_(check_metadata(config));
  if (config.ByteSizeLong() > kConfigBytesMax) {
    return invalid_field("config", "is larger than 1 MiB");
  }
  TRY_(check_name_if_set("runtime_handler", request.runtime_handler()));
  TRY_(check_name_if_set("config.hostname", config.hostname()));
  if (config.hostname().size() > kHostnameBytesMax) {
    return invalid_field("config.hostname", "is longer than 64 bytes");
  }
  if (!config.log_directory().empty()) {
    TRY_(check_absolute_path("config.log_directory", config.log_directory()));
  }
  TRY_(check_dns(config.dns_config()));
  TRY_(port_mappings_of(config));
  if (!config.linux().cgroup_parent().empty()) {
    TRY_(check_absolute_path("config.linux.cgroup_parent", config.linux().cgroup_parent()));
  }
  TRY(resolved.resources, resources_of("config.linux.resources", config.linux().resources()));
  TRY_(resources_of("config.linux.overhead", config.linux().overhead()));
  TRY_(check_namespaces(config.linux()));
  TRY(resolved.sysctl, sysctl_of(config));
  return resolved;
}

}  // namespace berth::cri
