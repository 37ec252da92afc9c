// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/container_plan.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "plugins/native/mount_options.h"
#include "plugins/native/sandbox_setup.h"

namespace berth::native {
namespace {

// systemd's limits of a service: select(2) works, and a program that needs more may raise them.
constexpr rlim_t kOpenFilesSoft = 1024;
constexpr rlim_t kOpenFilesHard = 524'288;

using container::LaunchNamespace;
using container::LaunchNamespaces;
using container::PlanNamespaceMode;

constexpr struct {
  oci::NamespaceType type;
  LaunchNamespace LaunchNamespaces::*member;
} kNamespaces[] = {{oci::NamespaceType::pid, &LaunchNamespaces::pid},
                   {oci::NamespaceType::mount, &LaunchNamespaces::mount},
                   {oci::NamespaceType::ipc, &LaunchNamespaces::ipc},
                   {oci::NamespaceType::uts, &LaunchNamespaces::uts},
                   {oci::NamespaceType::network, &LaunchNamespaces::network},
                   {oci::NamespaceType::cgroup, &LaunchNamespaces::cgroup}};

bool has_hooks(const oci::Hooks& hooks) {
  return !hooks.prestart.empty() || !hooks.create_runtime.empty() ||
         !hooks.create_container.empty() || !hooks.start_container.empty() ||
         !hooks.poststart.empty() || !hooks.poststop.empty();
}

Error unsupported(const char* member) {
  return make_error(Errc::unimplemented, std::string(member) + " is not supported");
}

Result<LaunchNamespaces> namespaces_of(const oci::Linux& from, const FindNamespace& find) {
  LaunchNamespaces namespaces;
  for (const auto& kind : kNamespaces) {
    LaunchNamespace& to = namespaces.*kind.member;
    const oci::Namespace* wanted = oci::find_namespace(from, kind.type);
    if (wanted == nullptr) {
      to = {PlanNamespaceMode::host, -1};
    } else if (wanted->path.empty()) {
      to = {PlanNamespaceMode::fresh, -1};
    } else {
      TRY(const int fd, find(kind.type, wanted->path));
      to = {PlanNamespaceMode::join, fd};
    }
  }
  return namespaces;
}

Result<container::LaunchMount> mount_of(oci::Mount from, const plugins::MountTree* source) {
  TRY(MountOptions options, parse_mount_options(from));
  container::LaunchMount mount;
  mount.flags = options.flags;
  mount.recursive_flags = options.recursive_flags;
  mount.propagation = options.propagation;
  if (source != nullptr) {
    mount.source_fd = source->tree.get();
    mount.destination_is_file = !source->is_directory;
  } else if (from.type == "bind") {
    return make_error(Errc::invalid_argument,
                      "mounts[" + from.destination + "]: its source was not opened");
  } else {
    mount.type = std::move(from.type);
    mount.source = std::move(from.source);
    mount.data = std::move(options.data);
  }
  mount.destination = std::move(from.destination);
  return mount;
}

// Everything but the options of the mounts.
Status check_supported(const oci::Spec& spec) {
  if (has_hooks(spec.hooks)) return unsupported("hooks");
  if (!spec.process.apparmor_profile.empty()) return unsupported("process.apparmorProfile");
  if (!spec.process.selinux_label.empty()) return unsupported("process.selinuxLabel");
  if (oci::find_namespace(spec.linux, oci::NamespaceType::user) != nullptr) {
    return make_error(Errc::unimplemented, "user namespaces are not supported yet");
  }
  const oci::Namespace* mount = oci::find_namespace(spec.linux, oci::NamespaceType::mount);
  if (mount == nullptr || !mount->path.empty()) {
    return make_error(Errc::invalid_argument, "a container needs a mount namespace of its own");
  }
  return {};
}

}  // namespace

Status check_spec(const oci::Spec& spec) {
  TRY_(check_supported(spec));
  for (const oci::Mount& one : spec.mounts) {
    Result<MountOptions> options = parse_mount_options(one);
    if (!options.ok()) return std::move(options).error();
  }
  return {};
}

Result<container::LaunchContainer> container_of(oci::Spec spec,
                                                const std::vector<plugins::MountTree>& mounts,
                                                const FindNamespace& find_namespace) {
  TRY_(check_supported(spec));
  container::LaunchContainer made;
  TRY(made.namespaces, namespaces_of(spec.linux, find_namespace));
  std::vector<const plugins::MountTree*> sources(spec.mounts.size(), nullptr);
  for (const plugins::MountTree& tree : mounts) {
    if (tree.mount >= sources.size()) {
      return make_error(Errc::invalid_argument, "a source for a mount that is not in the list");
    }
    sources[tree.mount] = &tree;
  }
  for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
    TRY(container::LaunchMount mount, mount_of(std::move(spec.mounts[i]), sources[i]));
    made.mounts.push_back(std::move(mount));
  }
  for (auto& [name, value] : spec.linux.sysctl) {
    made.sysctl[sysctl_path(name)] = std::move(value);
  }
  made.process = std::move(spec.process);
  complete_process(made.process);
  made.root_readonly = spec.root.readonly;
  made.devices = std::move(spec.linux.devices);
  made.masked_paths = std::move(spec.linux.masked_paths);
  made.readonly_paths = std::move(spec.linux.readonly_paths);
  return made;
}

container::LaunchFds fds_of(const plugins::Placement& placement) {
  container::LaunchFds fds;
  fds.cgroup = placement.cgroup.get();
  for (const UniqueFd& tasks : placement.v1_tasks) fds.v1_tasks.push_back(tasks.get());
  return fds;
}

void complete_process(oci::Process& process) {
  const auto is_open_files = [](const oci::Rlimit& limit) { return limit.type == RLIMIT_NOFILE; };
  if (std::none_of(process.rlimits.begin(), process.rlimits.end(), is_open_files)) {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const rlim_t hard = std::min(kOpenFilesHard, own.rlim_max);
    process.rlimits.push_back(
        {.type = RLIMIT_NOFILE, .soft = std::min(kOpenFilesSoft, hard), .hard = hard});
  }
  if (!process.oom_score_adj) process.oom_score_adj = 0;
}

}  // namespace berth::native
