// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/validate.h"

#include <limits>
#include <string>

#include "core/base/units.h"
#include "cri/field.h"

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

bool is_namespaced_sysctl(const std::string& name) {
  for (const char* prefix : {"net.", "kernel.shm", "kernel.msg", "fs.mqueue."}) {
    if (name.rfind(prefix, 0) == 0) return true;
  }
  return name == "kernel.sem";
}

Status check_sysctls(const v1::LinuxPodSandboxConfig& config) {
  const v1::NamespaceOption& options = config.security_context().namespace_options();
  for (const auto& [name, value] : config.sysctls()) {
    const std::string field = "config.linux.sysctls[" + shown(name) + "]";
    TRY_(check_name(field, name));
    TRY_(check_name_if_set(field, value));
    if (has_dot_dot(name) || name.find("..") != std::string::npos) {
      return invalid_field(field, "is no sysctl name");
    }
    if (!is_namespaced_sysctl(name)) return invalid_field(field, "is not a namespaced sysctl");
    const bool of_network = name.rfind("net.", 0) == 0;
    const v1::NamespaceMode mode = of_network ? options.network() : options.ipc();
    if (mode == v1::NamespaceMode::NODE) {
      return invalid_field(field, "would change the host: the pod uses the host's namespace");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<plugins::PortMapping>> port_mappings_of(const v1::PodSandboxConfig& config) {
  std::vector<plugins::PortMapping> mappings;
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    const v1::PortMapping& wanted = config.port_mappings(i);
    const std::string field = "config.port_mappings[" + std::to_string(i) + "]";
    constexpr int kPortMax = std::numeric_limits<std::uint16_t>::max();
    if (wanted.container_port() < 1 || wanted.container_port() > kPortMax) {
      return invalid_field(field + ".container_port", "must be 1..65535");
    }
    if (wanted.host_port() < 0 || wanted.host_port() > kPortMax) {
      return invalid_field(field + ".host_port", "must be 0..65535");
    }
    TRY_(check_name_if_set(field + ".host_ip", wanted.host_ip()));
    if (wanted.protocol() < v1::Protocol::TCP || wanted.protocol() > v1::Protocol::SCTP) {
      return invalid_field(field + ".protocol", "is unknown");
    }
    mappings.push_back({static_cast<plugins::PortMapping::Protocol>(wanted.protocol()),
                        static_cast<std::uint16_t>(wanted.container_port()),
                        static_cast<std::uint16_t>(wanted.host_port()), wanted.host_ip()});
  }
  return mappings;
}

Result<plugins::Resources> resources_of(const std::string& field,
                                        const v1::LinuxContainerResources& from) {
  const auto at_least = [&field](const char* name, std::int64_t value,
                                 std::int64_t least) -> Status {
    if (value >= least) return {};
    return invalid_field(field + "." + name, "is " + std::to_string(value));
  };
  TRY_(at_least("cpu_period", from.cpu_period(), 0));
  TRY_(at_least("cpu_quota", from.cpu_quota(), -1));
  TRY_(at_least("cpu_shares", from.cpu_shares(), 0));
  TRY_(at_least("memory_limit_in_bytes", from.memory_limit_in_bytes(), -1));
  TRY_(at_least("memory_swap_limit_in_bytes", from.memory_swap_limit_in_bytes(), -1));
  if (from.oom_score_adj() < -1000 || from.oom_score_adj() > 1000) {
    return invalid_field(field + ".oom_score_adj", "must be -1000..1000");
  }
  TRY_(check_name_if_set(field + ".cpuset_cpus", from.cpuset_cpus()));
  TRY_(check_name_if_set(field + ".cpuset_mems", from.cpuset_mems()));
  plugins::Resources to;
  to.cpu_period = from.cpu_period();
  to.cpu_quota = from.cpu_quota();
  to.cpu_shares = from.cpu_shares();
  to.memory_limit_in_bytes = from.memory_limit_in_bytes();
  to.memory_swap_limit_in_bytes = from.memory_swap_limit_in_bytes();
  to.cpuset_cpus = from.cpuset_cpus();
  to.cpuset_mems = from.cpuset_mems();
  for (const v1::HugepageLimit& limit : from.hugepage_limits()) {
    TRY_(check_name(field + ".hugepage_limits.page_size", limit.page_size()));
    to.hugepage_limits[limit.page_size()] = limit.limit();
  }
  for (const auto& [file, value] : from.unified()) {
    TRY_(check_name(field + ".unified", file));
    if (file.find('/') != std::string::npos) {
      return invalid_field(field + ".unified", "`" + shown(file) + "` is no control file");
    }
    to.unified[file] = value;
  }
  return to;
}

Status validate(const v1::RunPodSandboxRequest& request) {
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
  TRY_(resources_of("config.linux.resources", config.linux().resources()));
  TRY_(resources_of("config.linux.overhead", config.linux().overhead()));
  TRY_(check_namespaces(config.linux()));
  return check_sysctls(config.linux());
}

}  // namespace berth::cri
