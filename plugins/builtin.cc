// SPDX-License-Identifier: Apache-2.0
#include "plugins/builtin.h"

#include <memory>
#include <utility>

#include "networking/cni/cni.h"
#include "networking/host.h"
#include "networking/isolated.h"
#include "plugins/cgroup1/cgroup1.h"
#include "plugins/cgroup2/cgroup2.h"
#include "plugins/native/native.h"
#include "plugins/resources/cgroup_mounts.h"
#include "snapshotter/overlay.h"

namespace berth::plugins {

namespace {

// cgroup1 where any controller that sets limits is in a v1 hierarchy; it knows both versions. Else
// cgroup2, whatever v1 hierarchies there are beside it (name=systemd, net_cls).
Result<std::unique_ptr<ResourcesPlugin>> make_resources(const BuiltinParts& parts) {
  TRY(const std::vector<CgroupMount> mounts, read_cgroup_mounts());
  bool has_v1 = false;
  for (const CgroupMount& mount : mounts) has_v1 |= mount.has_limits();
  if (has_v1) {
    TRY(std::unique_ptr<Cgroup1> plugin,
        Cgroup1::create(parts.ring, parts.log, {.parent = parts.cgroup_parent}, mounts));
    return std::unique_ptr<ResourcesPlugin>(std::move(plugin));
  }
  TRY(std::unique_ptr<Cgroup2> plugin,
      Cgroup2::create(parts.ring, parts.log, {.parent = parts.cgroup_parent}, mounts));
  return std::unique_ptr<ResourcesPlugin>(std::move(plugin));
}

Status add_cni(Registry& registry, const BuiltinParts& parts) {
  networking::CniOptions options;
  options.conf_dir = parts.cni_conf_dir;
  options.chain.bin_dirs = parts.cni_bin_dirs;
  options.state_dir = parts.layout.state_dir();
  NamespacePool& namespaces = parts.namespaces;
  return registry.networks.add(std::make_unique<networking::CniNetwork>(networking::CniParts{
      .ring = parts.ring, .log = parts.log, .options = std::move(options), .take = [&namespaces]() {
        return namespaces.take();
      }}));
}

}  // namespace

Status add_builtin(Registry& registry, const BuiltinParts& parts) {
  TRY(std::unique_ptr<ResourcesPlugin> resources, make_resources(parts));
  TRY_(registry.resources.add(std::move(resources)));
  TRY(std::unique_ptr<snapshotter::Overlay> overlay,
      snapshotter::Overlay::create(
          parts.ring, parts.log,
          {.dir = parts.layout.overlay_snapshots(), .state_dir = parts.layout.snapshots_state()}));
  TRY_(registry.snapshotters.add(std::move(overlay)));
  TRY_(registry.networks.add(std::make_unique<networking::HostNetwork>()));
  TRY_(registry.networks.add(std::make_unique<networking::IsolatedNetwork>(parts.namespaces)));
  TRY_(add_cni(registry, parts));
  TRY(Network * cni, registry.networks.find("cni"));
  TRY(Network * isolated, registry.networks.find("isolated"));
  registry.default_networks = {cni, isolated};
  return registry.runtime_handlers.add(
      std::make_unique<NativeRuntime>(NativeParts{.ring = parts.ring,
                                                  .log = parts.log,
                                                  .state_dir = parts.layout.state_dir(),
                                                  .keeper_binary = parts.keeper_binary}));
}

}  // namespace berth::plugins
