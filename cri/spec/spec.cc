// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/spec.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "cri/field.h"
#include "cri/spec/mounts.h"
#include "cri/spec/process.h"
#include "cri/spec/resources.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// systemd's limits of a service: select(2) works, and a program that needs more may raise them.
constexpr std::uint64_t kOpenFilesSoft = 1024;
constexpr std::uint64_t kOpenFilesHard = 524'288;

constexpr const char* kOfSandbox = "berth:sandbox";

Result<oci::Namespace> pid_namespace(const v1::NamespaceOption& options, bool sandbox_has_one) {
  oci::Namespace pid{.type = oci::NamespaceType::pid};
  switch (options.pid()) {
    case v1::NamespaceMode::CONTAINER:
      break;
    case v1::NamespaceMode::POD:
      // A sandbox that was made for containers with PID namespaces of their own has no init: the
      // container gets one of its own, too.
      if (sandbox_has_one) pid.path = kOfSandbox;
      break;
    case v1::NamespaceMode::TARGET:
      pid.path = "berth:container/" + options.target_id();
      break;
    default:
      return invalid_field("config.linux.security_context.namespace_options.pid", "is unknown");
  }
  return pid;
}

Result<std::vector<oci::Namespace>> namespaces_of(const v1::LinuxContainerSecurityContext& security,
                                                  const plugins::SandboxNamespaces& sandbox) {
  using oci::NamespaceType;
  std::vector<oci::Namespace> list;
  const v1::NamespaceOption& options = security.namespace_options();
  if (options.pid() != v1::NamespaceMode::NODE) {
    TRY(oci::Namespace pid, pid_namespace(options, sandbox.pid));
    list.push_back(std::move(pid));
  }
  if (sandbox.network) list.push_back({NamespaceType::network, kOfSandbox});
  if (sandbox.ipc) list.push_back({NamespaceType::ipc, kOfSandbox});
  if (sandbox.uts) list.push_back({NamespaceType::uts, kOfSandbox});
  list.push_back({NamespaceType::mount, ""});
  if (!security.privileged()) list.push_back({NamespaceType::cgroup, ""});
  return list;
}

oci::Process process_of(const SpecInput& input) {
  const v1::LinuxContainerConfig& linux_config = input.config.linux();
  oci::Process process;
  process.terminal = input.config.tty();
  process.capabilities = input.capabilities;
  process.no_new_privileges = linux_config.security_context().no_new_privs();
  process.oom_score_adj = static_cast<int>(linux_config.resources().oom_score_adj());
  const std::uint64_t hard = std::min(kOpenFilesHard, input.open_files_max);
  process.rlimits.push_back(
      {.type = RLIMIT_NOFILE, .soft = std::min(kOpenFilesSoft, hard), .hard = hard});
  return process;
}

}  // namespace

Result<oci::Spec> spec_of(SpecInput input) {
  const v1::ContainerConfig& config = input.config;
  const v1::LinuxContainerSecurityContext& security = config.linux().security_context();
  oci::Spec spec;
  spec.process = process_of(input);
  spec.root.readonly = security.readonly_rootfs();
  TRY(spec.mounts, mounts_of(config, input.namespaces.ipc));
  spec.annotations = {config.annotations().begin(), config.annotations().end()};
  TRY(spec.linux.namespaces, namespaces_of(security, input.namespaces));
  spec.linux.devices = device_nodes(std::move(input.devices.nodes));
  spec.linux.cgroups_path = std::move(input.cgroups_path);
  TRY(plugins::Resources limits,
      resources_of("config.linux.resources", config.linux().resources()));
  limits.pids_limit = input.pids_limit;
  spec.linux.resources = oci_resources(limits);
  spec.linux.resources.devices =
      device_rules(std::move(input.devices.rules), security.privileged());
  spec.linux.seccomp = std::move(input.seccomp);
  if (!security.privileged()) {
    spec.linux.masked_paths.assign(security.masked_paths().begin(), security.masked_paths().end());
    spec.linux.readonly_paths.assign(security.readonly_paths().begin(),
                                     security.readonly_paths().end());
  }
  return spec;
}

Status resolve_process(oci::Process& process, const ProcessInput& input) {
  TRY(process.args, merge_args(input.image, input.config));
  TRY(process.user,
      resolve_user(input.image.user, input.config.linux().security_context(), input.files));
  const EnvironmentDefaults defaults{input.hostname, home_of(process.user.uid, input.files.passwd)};
  process.env = merge_env(input.image, input.config, defaults);
  process.cwd = merge_working_dir(input.image, input.config);
  return {};
}

Status check_apparmor(const v1::LinuxContainerSecurityContext& security, bool enabled) {
  const std::string field = "config.linux.security_context.apparmor";
  std::string name;
  if (security.has_apparmor()) {
    if (security.apparmor().profile_type() == v1::SecurityProfile::Localhost) {
      name = security.apparmor().localhost_ref();
      if (name.empty()) return invalid_field(field, "localhost_ref is required");
    }
  } else if (security.apparmor_profile().rfind("localhost/", 0) == 0) {
    name = security.apparmor_profile();
  }
  if (name.empty() || security.privileged()) return {};
  if (!enabled) {
    return invalid_field(
        field, "AppArmor is not enabled on this node, `" + shown(name) + "` cannot be enforced");
  }
  return make_error(Errc::unimplemented, field + ": localhost profiles are not supported yet");
}

}  // namespace berth::cri
