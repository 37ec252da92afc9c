// SPDX-License-Identifier: Apache-2.0
#include "cri/container/spec.h"

#include <fcntl.h>
#include <unistd.h>

#include "cri/container/capabilities.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

oci::Namespace joined(const UniqueFd& fd) {
  if (!fd.valid()) return {oci::Namespace::Mode::host, -1};
  return {oci::Namespace::Mode::join, fd.get()};
}

Result<oci::Namespaces> namespaces_of(const SpecWish& wish) {
  const v1::LinuxContainerSecurityContext& security =
      wish.record.config().linux().security_context();
  const v1::NamespaceOption& options = security.namespace_options();
  oci::Namespaces namespaces;
  namespaces.network = joined(wish.namespaces.net);
  namespaces.ipc = joined(wish.namespaces.ipc);
  namespaces.uts = joined(wish.namespaces.uts);
  if (security.privileged()) namespaces.cgroup = {oci::Namespace::Mode::host, -1};
  switch (options.pid()) {
    case v1::NamespaceMode::CONTAINER:
      break;
    case v1::NamespaceMode::NODE:
      namespaces.pid = {oci::Namespace::Mode::host, -1};
      break;
    case v1::NamespaceMode::POD:
      // A sandbox that was made for containers with PID namespaces of their own has no init: then
      // the container gets one of its own, too.
      if (wish.namespaces.pid.valid()) namespaces.pid = joined(wish.namespaces.pid);
      break;
    case v1::NamespaceMode::TARGET:
      namespaces.pid = {oci::Namespace::Mode::join, wish.target_pid_namespace};
      break;
    default:
      return invalid_field("config.linux.security_context.namespace_options.pid", "is unknown");
  }
  return namespaces;
}

bool exists(const char* path) {
  return ::access(path, F_OK) == 0;
}

}  // namespace

Status check_profiles(const v1::LinuxContainerSecurityContext& security) {
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
  if (!exists("/sys/kernel/security/apparmor")) {
    return invalid_field(
        field, "AppArmor is not enabled on this node, `" + shown(name) + "` cannot be enforced");
  }
  return make_error(Errc::unimplemented, field + ": localhost profiles are not supported yet");
}

Result<oci::Process> process_of(const SpecWish& wish) {
  const v1::ContainerConfig& config = wish.record.config();
  const v1::LinuxContainerSecurityContext& security = config.linux().security_context();
  oci::Process process;
  process.terminal = config.tty();
  process.user.uid = wish.record.uid();
  process.user.gid = wish.record.gid();
  process.user.additional_gids.assign(wish.record.groups().begin(), wish.record.groups().end());
  process.args.assign(wish.record.args().begin(), wish.record.args().end());
  process.env.assign(wish.record.env().begin(), wish.record.env().end());
  process.cwd = wish.record.working_dir();
  TRY(process.capabilities, capabilities_of(security, wish.available_capabilities));
  process.no_new_privileges = security.no_new_privs();
  if (config.linux().has_resources()) {
    process.oom_score_adj = static_cast<int>(config.linux().resources().oom_score_adj());
  }
  return process;
}

Result<oci::Spec> spec_of(const SpecWish& wish) {
  const v1::ContainerConfig& config = wish.record.config();
  const v1::LinuxContainerSecurityContext& security = config.linux().security_context();
  oci::Spec spec;
  TRY(spec.process, process_of(wish));
  spec.root_readonly = security.readonly_rootfs();
  TRY(spec.namespaces, namespaces_of(wish));
  if (!security.privileged()) {
    spec.masked_paths.assign(security.masked_paths().begin(), security.masked_paths().end());
    spec.readonly_paths.assign(security.readonly_paths().begin(), security.readonly_paths().end());
  }
  TRY(spec.seccomp, wish.seccomp.program_of(security, spec.process.capabilities.bounding));
  return spec;
}

}  // namespace berth::cri
