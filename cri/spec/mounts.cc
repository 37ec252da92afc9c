// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/mounts.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// What a CRI client may ask for by mount_options.
constexpr std::array<std::string_view, 7> kMountOptions = {
    "ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"};

std::string field_of(int index) {
  return "config.mounts[" + std::to_string(index) + "]";
}

// A path without "//", "/./" and a trailing slash.
std::string normal_path(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

std::size_t depth_of(const std::string& path) {
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) -
         (path == "/" ? 1 : 0);
}

Status add_options(oci::Mount& mount, const std::string& field, const v1::Mount& wanted) {
  for (const std::string& option : wanted.mount_options()) {
    if (std::find(kMountOptions.begin(), kMountOptions.end(), option) == kMountOptions.end()) {
      return invalid_field(field + ".mount_options", "`" + shown(option) + "` is not supported");
    }
    mount.options.push_back(option);
  }
  if (wanted.readonly()) mount.options.emplace_back("ro");
  if (wanted.recursive_read_only()) mount.options.emplace_back("rro");
  return {};
}

Result<oci::Mount> volume_of(const v1::ContainerConfig& config, int index) {
  const v1::Mount& wanted = config.mounts(index);
  oci::Mount mount{.destination = normal_path(wanted.container_path()), .type = "bind"};
  if (!wanted.image().image().empty()) {
    mount.source = "berth:image/" + std::to_string(index);
    // An image is foreign: no setuid program and no device of it works.
    mount.options = {"rbind", "rprivate", "ro", "nosuid", "nodev"};
  } else {
    constexpr std::array<const char*, 3> kPropagation = {"rprivate", "rslave", "rshared"};
    mount.source = wanted.host_path();
    mount.options = {"rbind", kPropagation[static_cast<std::size_t>(wanted.propagation())]};
  }
  TRY_(add_options(mount, field_of(index), wanted));
  return mount;
}

// The mounts that berth adds, without those whose place a volume takes.
class DefaultMounts {
 public:
  explicit DefaultMounts(const v1::ContainerConfig& config) {
    for (const v1::Mount& mount : config.mounts()) {
      volumes_.insert(normal_path(mount.container_path()));
    }
  }
  void add(oci::Mount mount) {
    if (volumes_.count(mount.destination) == 0) list_.push_back(std::move(mount));
  }
  void filesystem(const char* destination, const char* type, std::vector<std::string> options) {
    add({.destination = destination, .type = type, .source = type, .options = std::move(options)});
  }
  std::vector<oci::Mount> take() && { return std::move(list_); }

 private:
  std::set<std::string> volumes_;
  std::vector<oci::Mount> list_;
};

void add_kernel_mounts(DefaultMounts& mounts, bool privileged) {
  std::vector<std::string> of_kernel = {"nosuid", "noexec", "nodev"};
  mounts.filesystem("/proc", "proc", of_kernel);
  mounts.filesystem("/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  mounts.filesystem("/dev/pts", "devpts",
                    {"nosuid", "noexec", "ptmxmode=0666", "mode=0620", "gid=5"});
  mounts.filesystem("/dev/mqueue", "mqueue", of_kernel);
  if (!privileged) of_kernel.emplace_back("ro");
  mounts.filesystem("/sys", "sysfs", of_kernel);
  mounts.filesystem("/sys/fs/cgroup", "cgroup", of_kernel);
}

void add_pod_files(DefaultMounts& mounts, bool readonly_rootfs, bool pod_has_ipc) {
  mounts.add({.destination = "/dev/shm",
              .type = "bind",
              .source = pod_has_ipc ? "berth:pod/shm" : "/dev/shm",
              .options = {"bind"}});
  std::vector<std::string> options = {"bind"};
  if (readonly_rootfs) options.emplace_back("ro");
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    mounts.add({.destination = std::string("/etc/") + name,
                .type = "bind",
                .source = std::string("berth:pod/") + name,
                .options = options});
  }
}

}  // namespace

VolumeFields::VolumeFields(const v1::ContainerConfig& config) {
  for (int i = 0; i < config.mounts_size(); ++i) {
    indexes_.try_emplace(normal_path(config.mounts(i).container_path()), i);
  }
}

std::string VolumeFields::of(const std::string& destination) const {
  const auto found = indexes_.find(destination);
  return found == indexes_.end() ? "mounts[" + destination + "]" : field_of(found->second);
}

Status check_propagation(const v1::ContainerConfig& config) {
  if (config.linux().security_context().privileged()) return {};
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (config.mounts(i).propagation() == v1::MountPropagation::PROPAGATION_BIDIRECTIONAL) {
      return invalid_field(field_of(i) + ".propagation",
                           "BIDIRECTIONAL needs a privileged container");
    }
  }
  return {};
}

Result<std::vector<oci::Mount>> mounts_of(const v1::ContainerConfig& config, bool pod_has_ipc) {
  const v1::LinuxContainerSecurityContext& security = config.linux().security_context();
  DefaultMounts defaults(config);
  add_kernel_mounts(defaults, security.privileged());
  add_pod_files(defaults, security.readonly_rootfs(), pod_has_ipc);
  std::vector<oci::Mount> mounts = std::move(defaults).take();
  for (int i = 0; i < config.mounts_size(); ++i) {
    TRY(oci::Mount mount, volume_of(config, i));
    mounts.push_back(std::move(mount));
  }
  std::stable_sort(mounts.begin(), mounts.end(),
                   [](const oci::Mount& left, const oci::Mount& right) {
                     return depth_of(left.destination) < depth_of(right.destination);
                   });
  return mounts;
}

}  // namespace berth::cri
