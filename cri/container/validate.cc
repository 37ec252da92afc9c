// SPDX-License-Identifier: Apache-2.0
#include "cri/container/validate.h"

#include <string>

#include "core/base/units.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::size_t kConfigBytesMax = 2_MiB;
// execve(2) takes arguments and environment of 2 MiB together, a pointer for each counted: these
// are more than fit, and few enough to be merged without anybody else waiting.
constexpr int kVariablesMax = 65'536;
// Each mount is a descriptor of the agent's during a start. Pods have tens of both.
constexpr int kMountsMax = 1024;
constexpr int kDevicesMax = 1024;

Status check_text(const std::string& field, const std::string& value) {
  if (value.find('\0') != std::string::npos) return invalid_field(field, "holds a NUL byte");
  return {};
}

Status check_count(const char* field, int count, int count_max) {
  if (count <= count_max) return {};
  return invalid_field(field, "are " + std::to_string(count) + ", at most " +
                                  std::to_string(count_max) + " are accepted");
}

Status check_process(const v1::ContainerConfig& config) {
  for (const std::string& word : config.command()) TRY_(check_text("config.command", word));
  for (const std::string& word : config.args()) TRY_(check_text("config.args", word));
  if (config.envs_size() > kVariablesMax) {
    return invalid_field("config.envs", "are " + std::to_string(config.envs_size()) + ", at most " +
                                            std::to_string(kVariablesMax) + " are accepted");
  }
  for (const v1::KeyValue& env : config.envs()) {
    const std::string field = "config.envs[" + shown(env.key()) + "]";
    if (env.key().empty() || env.key().find('=') != std::string::npos) {
      return invalid_field(field, "the name must not be empty or hold `=`");
    }
    TRY_(check_text(field, env.key()));
    TRY_(check_text(field, env.value()));
  }
  if (!config.working_dir().empty()) {
    TRY_(check_absolute_path("config.working_dir", config.working_dir()));
  }
  if (config.stdin_once() && !config.stdin()) {
    return invalid_field("config.stdin_once", "contradicts stdin = false");
  }
  if (!v1::Signal_IsValid(config.stop_signal())) {
    return invalid_field("config.stop_signal", "is unknown");
  }
  return {};
}

Status check_image_mount(const std::string& field, const v1::Mount& mount) {
  TRY_(check_name(field + ".image.image", mount.image().image()));
  if (!mount.host_path().empty()) {
    return invalid_field(field + ".host_path", "contradicts image: a mount has one source");
  }
  if (!mount.readonly()) return invalid_field(field + ".readonly", "is required of an image");
  if (mount.propagation() == v1::MountPropagation::PROPAGATION_BIDIRECTIONAL) {
    return invalid_field(field + ".propagation", "an image has nothing to propagate");
  }
  if (mount.image_sub_path().empty()) return {};
  return check_relative_path(field + ".image_sub_path", mount.image_sub_path());
}

// "/", however it is spelled: "//", "/./".
bool is_root(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") return false;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return true;
}

Status check_mount(const std::string& field, const v1::Mount& mount) {
  TRY_(check_absolute_path(field + ".container_path", mount.container_path()));
  if (is_root(mount.container_path())) {
    return invalid_field(field + ".container_path",
                         "must not be `/`: a volume cannot take the "
                         "place of the image");
  }
  if (mount.has_image()) {
    TRY_(check_image_mount(field, mount));
  } else {
    if (!mount.image_sub_path().empty()) {
      return invalid_field(field + ".image_sub_path", "needs an image");
    }
    TRY_(check_absolute_path(field + ".host_path", mount.host_path()));
  }
  if (mount.propagation() < v1::MountPropagation::PROPAGATION_PRIVATE ||
      mount.propagation() > v1::MountPropagation::PROPAGATION_BIDIRECTIONAL) {
    return invalid_field(field + ".propagation", "is unknown");
  }
  if (mount.recursive_read_only() && !mount.readonly()) {
    return invalid_field(field + ".recursive_read_only", "needs readonly");
  }
  if (mount.recursive_read_only() &&
      mount.propagation() != v1::MountPropagation::PROPAGATION_PRIVATE) {
    return invalid_field(field + ".recursive_read_only", "needs private propagation");
  }
  if (mount.uidmappings_size() > 0 || mount.gidmappings_size() > 0) {
    return make_error(Errc::unimplemented, field +
                                               ".uidMappings: idmapped mounts need a user "
                                               "namespace, which is not supported");
  }
  return {};
}

Status check_security(const v1::ContainerConfig& config) {
  const v1::LinuxContainerSecurityContext& security = config.linux().security_context();
  const std::string field = "config.linux.security_context";
  if (security.has_run_as_group() && !security.has_run_as_user() &&
      security.run_as_username().empty()) {
    return invalid_field(field + ".run_as_group", "needs run_as_user or run_as_username");
  }
  const auto id_in_range = [](std::int64_t id) { return id >= 0 && id < 0xffffffffLL; };
  if (!id_in_range(security.run_as_user().value())) {
    return invalid_field(field + ".run_as_user", "is no user id");
  }
  if (!id_in_range(security.run_as_group().value())) {
    return invalid_field(field + ".run_as_group", "is no group id");
  }
  for (const std::int64_t group : security.supplemental_groups()) {
    if (!id_in_range(group)) return invalid_field(field + ".supplemental_groups", "is no group id");
  }
  TRY_(check_name_if_set(field + ".run_as_username", security.run_as_username()));
  for (const std::string& path : security.masked_paths()) {
    TRY_(check_absolute_path(field + ".masked_paths", path));
  }
  for (const std::string& path : security.readonly_paths()) {
    TRY_(check_absolute_path(field + ".readonly_paths", path));
  }
  const v1::NamespaceOption& options = security.namespace_options();
  if (options.pid() == v1::NamespaceMode::TARGET) {
    TRY_(check_name(field + ".namespace_options.target_id", options.target_id()));
  }
  if (options.has_userns_options() && options.userns_options().mode() != v1::NamespaceMode::NODE) {
    return make_error(
        Errc::unimplemented,
        field + ".namespace_options.userns_options: user namespaces are not supported");
  }
  return {};
}

}  // namespace

Status validate(const v1::CreateContainerRequest& request) {
  TRY_(check_name("pod_sandbox_id", request.pod_sandbox_id()));
  if (!request.has_config()) return invalid_field("config", "is required");
  const v1::ContainerConfig& config = request.config();
  if (!config.has_metadata()) return invalid_field("config.metadata", "is required");
  TRY_(check_name("config.metadata.name", config.metadata().name()));
  if (config.ByteSizeLong() > kConfigBytesMax) {
    return invalid_field("config", "is larger than 2 MiB");
  }
  TRY_(check_name("config.image.image", config.image().image()));
  TRY_(check_process(config));
  TRY_(check_count("config.mounts", config.mounts_size(), kMountsMax));
  TRY_(check_count("config.devices", config.devices_size(), kDevicesMax));
  for (int i = 0; i < config.mounts_size(); ++i) {
    TRY_(check_mount("config.mounts[" + std::to_string(i) + "]", config.mounts(i)));
  }
  for (const v1::Device& device : config.devices()) {
    TRY_(check_absolute_path("config.devices.host_path", device.host_path()));
    TRY_(check_absolute_path("config.devices.container_path", device.container_path()));
    if (device.permissions().find_first_not_of("rwm") != std::string::npos) {
      return invalid_field("config.devices.permissions", "takes r, w and m");
    }
  }
  if (config.cdi_devices_size() > 0) {
    return make_error(Errc::unimplemented, "config.CDI_devices: CDI is not supported yet");
  }
  if (!config.log_path().empty()) {
    TRY_(check_relative_path("config.log_path", config.log_path()));
  }
  return check_security(config);
}

}  // namespace berth::cri
