// SPDX-License-Identifier: Apache-2.0
#include "cri/container/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "core/base/check.h"
#include "core/linux/mount.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::uint64_t kNoSuidDevExec = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

struct MountOption {
  const char* name;
  std::uint64_t attribute;
};
// What a CRI client may ask for by mount_options.
constexpr MountOption kMountOptions[] = {{"ro", MOUNT_ATTR_RDONLY},
                                         {"nosuid", MOUNT_ATTR_NOSUID},
                                         {"nodev", MOUNT_ATTR_NODEV},
                                         {"noexec", MOUNT_ATTR_NOEXEC},
                                         {"noatime", MOUNT_ATTR_NOATIME},
                                         {"nodiratime", MOUNT_ATTR_NODIRATIME},
                                         {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW}};

std::string tidy(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

std::size_t depth_of(const std::string& path) {
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) -
         (path == "/" ? 1 : 0);
}

Result<std::uint64_t> attributes_of(const std::string& field, const v1::Mount& wanted) {
  std::uint64_t attributes = 0;
  for (const std::string& option : wanted.mount_options()) {
    const auto* known =
        std::find_if(std::begin(kMountOptions), std::end(kMountOptions),
                     [&option](const MountOption& entry) { return option == entry.name; });
    if (known == std::end(kMountOptions)) {
      return invalid_field(field + ".mount_options", "`" + shown(option) + "` is not supported");
    }
    attributes |= known->attribute;
  }
  return attributes;
}

// A clone of the tree at `path` into the plan.
Result<oci::Mount> bind_tree(MountPlan& plan, int directory, const std::string& path,
                             const std::string& destination) {
  TRY(sys::UniqueMount tree, sys::open_tree_clone(directory, path, false));
  struct stat status {};
  if (::fstatat(tree.get(), "", &status, AT_EMPTY_PATH) != 0) {
    return sys_error(errno, "fstat", path);
  }
  oci::Mount mount;
  mount.destination = destination;
  mount.source_fd = tree.get();
  mount.destination_is_file = !S_ISDIR(status.st_mode);
  plan.owned_fds.push_back(tree.release());
  return mount;
}

Status set_options(oci::Mount& mount, const std::string& field, const v1::Mount& wanted) {
  TRY(mount.flags, attributes_of(field, wanted));
  if (wanted.readonly()) mount.flags |= MOUNT_ATTR_RDONLY;
  if (wanted.recursive_read_only()) mount.recursive_flags |= MOUNT_ATTR_RDONLY;
  return {};
}

// A stranger's files: no setuid program and no device of theirs works.
Result<oci::Mount> image_volume(MountPlan& plan, const std::string& field, const v1::Mount& wanted,
                                sys::UniqueMount tree) {
  struct stat status {};
  if (::fstatat(tree.get(), "", &status, AT_EMPTY_PATH) != 0) {
    return sys_error(errno, "fstat", field + ".image");
  }
  oci::Mount mount;
  mount.destination = tidy(wanted.container_path());
  mount.source_fd = tree.get();
  mount.destination_is_file = !S_ISDIR(status.st_mode);
  plan.owned_fds.push_back(tree.release());
  TRY_(set_options(mount, field, wanted));
  mount.flags |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  mount.propagation = MS_PRIVATE;
  return mount;
}

Result<oci::Mount> host_volume(MountPlan& plan, const std::string& field, const v1::Mount& wanted,
                               HostTree host) {
  oci::Mount mount;
  mount.destination = tidy(wanted.container_path());
  mount.source_fd = host.tree.get();
  mount.destination_is_file = !host.is_directory;
  plan.owned_fds.push_back(host.tree.release());
  TRY_(set_options(mount, field, wanted));
  constexpr std::array<std::uint64_t, 3> kPropagation = {MS_PRIVATE, MS_SLAVE, MS_SHARED};
  mount.propagation = kPropagation[static_cast<std::size_t>(wanted.propagation())];
  return mount;
}

oci::Mount filesystem(const char* destination, const char* type, const char* data,
                      std::uint64_t flags) {
  oci::Mount mount;
  mount.destination = destination;
  mount.type = type;
  mount.source = type;
  mount.data = data;
  mount.flags = flags;
  return mount;
}

bool has_volume_at(const v1::ContainerConfig& config, const std::string& destination) {
  return std::any_of(config.mounts().begin(), config.mounts().end(), [&](const v1::Mount& mount) {
    return tidy(mount.container_path()) == destination;
  });
}

Status add_pod_file(MountPlan& plan, const MountWish& wish, const std::string& path,
                    const char* destination) {
  if (has_volume_at(wish.config, destination)) return {};
  TRY(oci::Mount mount, bind_tree(plan, wish.pod.directory, path, destination));
  const v1::LinuxContainerSecurityContext& security = wish.config.linux().security_context();
  if (security.readonly_rootfs()) mount.flags |= MOUNT_ATTR_RDONLY;
  plan.mounts.push_back(std::move(mount));
  return {};
}

Status add_shm(MountPlan& plan, const MountWish& wish) {
  if (has_volume_at(wish.config, "/dev/shm")) return {};
  if (!wish.host_shm && wish.pod.shm.empty()) {
    plan.mounts.push_back(filesystem("/dev/shm", "tmpfs", "mode=1777,size=65536k", kNoSuidDevExec));
    return {};
  }
  const int directory = wish.host_shm ? AT_FDCWD : wish.pod.directory;
  const std::string path = wish.host_shm ? "/dev/shm" : wish.pod.shm;
  TRY(oci::Mount mount, bind_tree(plan, directory, path, "/dev/shm"));
  plan.mounts.push_back(std::move(mount));
  return {};
}

// Tools look for controllers by name below /sys/fs/cgroup.
Status add_cgroup_views(MountPlan& plan, MountWish& wish) {
  if (wish.cgroup_views.empty() || has_volume_at(wish.config, "/sys/fs/cgroup")) return {};
  const std::uint64_t flags = kNoSuidDevExec | (wish.privileged ? 0 : MOUNT_ATTR_RDONLY);
  oci::Mount top;
  top.destination = "/sys/fs/cgroup";
  top.source_fd = wish.cgroup_view_root.get();
  top.flags = kNoSuidDevExec | MOUNT_ATTR_RDONLY;
  plan.owned_fds.push_back(wish.cgroup_view_root.release());
  plan.mounts.push_back(std::move(top));
  for (const plugins::CgroupView& view : wish.cgroup_views) {
    TRY(sys::UniqueMount tree, sys::open_tree_clone(view.directory.get(), "", false));
    oci::Mount mount;
    mount.destination = "/sys/fs/cgroup/" + view.name;
    mount.source_fd = tree.get();
    mount.flags = flags;
    plan.owned_fds.push_back(tree.release());
    plan.mounts.push_back(std::move(mount));
  }
  return {};
}

}  // namespace

std::vector<oci::Mount> kernel_mounts(const MountWish& wish) {
  std::vector<oci::Mount> mounts;
  const std::uint64_t read_only = wish.privileged ? 0 : MOUNT_ATTR_RDONLY;
  const auto add = [&](const char* destination, const char* type, const char* data,
                       std::uint64_t flags) {
    if (has_volume_at(wish.config, destination)) return;
    mounts.push_back(filesystem(destination, type, data, flags));
  };
  add("/proc", "proc", "", kNoSuidDevExec);
  add("/dev", "tmpfs", "mode=755,size=65536k", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
  add("/dev/pts", "devpts", "ptmxmode=0666,mode=0620,gid=5", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  add("/dev/mqueue", "mqueue", "", kNoSuidDevExec);
  add("/sys", "sysfs", "", kNoSuidDevExec | read_only);
  if (wish.cgroup_v2) add("/sys/fs/cgroup", "cgroup2", "", kNoSuidDevExec | read_only);
  return mounts;
}

namespace {

std::string field_of(int index) {
  return "config.mounts[" + std::to_string(index) + "]";
}

Result<oci::Mount> volume(MountPlan& plan, const MountWish& wish, int index) {
  const v1::Mount& wanted = wish.config.mounts(index);
  if (!wanted.image().image().empty()) {
    const auto tree = wish.images->find(index);
    CHECK(tree != wish.images->end());
    return image_volume(plan, field_of(index), wanted, std::move(tree->second));
  }
  const auto host = wish.hosts->find(index);
  CHECK(host != wish.hosts->end());
  return host_volume(plan, field_of(index), wanted, std::move(host->second));
}

}  // namespace

Status check_propagation(const v1::ContainerConfig& config, bool privileged) {
  if (privileged) return {};
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (config.mounts(i).propagation() == v1::MountPropagation::PROPAGATION_BIDIRECTIONAL) {
      return invalid_field(field_of(i) + ".propagation",
                           "BIDIRECTIONAL needs a privileged container");
    }
  }
  return {};
}

Result<MountPlan> plan_mounts(MountWish wish) {
  MountPlan plan;
  plan.mounts = kernel_mounts(wish);
  TRY_(add_cgroup_views(plan, wish));
  TRY_(add_shm(plan, wish));
  TRY_(add_pod_file(plan, wish, wish.pod.hosts, "/etc/hosts"));
  TRY_(add_pod_file(plan, wish, wish.pod.hostname, "/etc/hostname"));
  TRY_(add_pod_file(plan, wish, wish.pod.resolv_conf, "/etc/resolv.conf"));
  for (int i = 0; i < wish.config.mounts_size(); ++i) {
    TRY(oci::Mount mount, volume(plan, wish, i));
    plan.mounts.push_back(std::move(mount));
  }
  std::stable_sort(plan.mounts.begin(), plan.mounts.end(),
                   [](const oci::Mount& left, const oci::Mount& right) {
                     return depth_of(left.destination) < depth_of(right.destination);
                   });
  return plan;
}

}  // namespace berth::cri
