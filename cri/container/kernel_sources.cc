// SPDX-License-Identifier: Apache-2.0
#include "cri/container/kernel_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "core/base/units.h"
#include "core/linux/openat2.h"
#include "core/ring/offload.h"
#include "cri/container/devices.h"
#include "cri/container/image_volumes.h"
#include "cri/container/log_file.h"
#include "cri/container/rootfs.h"
#include "cri/node.h"
#include "cri/sandbox/files.h"
#include "cri/spec/mounts.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::size_t kUserFileBytesMax = 1_MiB;
// Paths that may hang at a time; each costs a stack until its server answers or the agent ends.
constexpr unsigned kLogThreadsMax = 32;
constexpr unsigned kDeviceThreadsMax = 32;

constexpr std::string_view kPodPart = "berth:pod/";
constexpr std::string_view kImagePart = "berth:image/";

// Empty when the image has no such file. Only a regular file of an image is opened.
Result<std::string> read_user_file(const UniqueFd& rootfs, const char* path) {
  Result<UniqueFd> file = sys::open_regular_in_root_if_exists(rootfs.get(), path);
  if (!file.ok()) return std::move(file).error().with("image");
  if (!file->valid()) return std::string();
  return sys::read_all(file->get(), kUserFileBytesMax, path);
}

Result<bool> is_directory(const sys::UniqueMount& tree, const std::string& subject) {
  struct stat status {};
  if (::fstatat(tree.get(), "", &status, AT_EMPTY_PATH) != 0) {
    return sys_error(errno, "fstat", subject);
  }
  return S_ISDIR(status.st_mode);
}

// The list that grows, with the sources that are opened for its last entry.
class Opening {
 public:
  void add(oci::Mount mount) { opened_.mounts.push_back(std::move(mount)); }
  void add(oci::Mount mount, sys::UniqueMount tree, bool directory) {
    opened_.trees.push_back({opened_.mounts.size(), tree.release(), directory});
    add(std::move(mount));
  }
  Status add_tree(oci::Mount mount, sys::UniqueMount tree) {
    TRY(const bool directory, is_directory(tree, mount.source));
    add(std::move(mount), std::move(tree), directory);
    return {};
  }
  OpenedMounts take() && { return std::move(opened_); }

 private:
  OpenedMounts opened_;
};

// A pod on a kernel before 6.15 has no /dev/shm: each container has one of its own.
oci::Mount own_shm(oci::Mount mount) {
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  mount.options = {"nosuid", "nodev", "noexec", "mode=1777", "size=65536k"};
  return mount;
}

Status add_pod_file(Opening& opening, oci::Mount mount, const PodFiles& files) {
  const std::string_view name = std::string_view(mount.source).substr(kPodPart.size());
  if (name == "shm" && files.shm.empty()) {
    opening.add(own_shm(std::move(mount)));
    return {};
  }
  const std::string* path = nullptr;
  if (name == "shm") path = &files.shm;
  if (name == "hosts") path = &files.hosts;
  if (name == "hostname") path = &files.hostname;
  if (name == "resolv.conf") path = &files.resolv_conf;
  if (path == nullptr) {
    return make_error(Errc::invalid_argument, "mounts: there is no `" + mount.source + "`");
  }
  TRY(sys::UniqueMount tree, sys::open_tree_clone(files.directory, *path, false));
  return opening.add_tree(std::move(mount), std::move(tree));
}

Status add_image(Opening& opening, oci::Mount mount, ImageTrees& images) {
  const std::string_view text = std::string_view(mount.source).substr(kImagePart.size());
  int index = -1;
  std::from_chars(text.data(), text.data() + text.size(), index);
  const auto found = images.find(index);
  if (found == images.end()) {
    return make_error(Errc::invalid_argument, "mounts: there is no `" + mount.source + "`");
  }
  return opening.add_tree(std::move(mount), std::move(found->second));
}

// Programs look for controllers by name below /sys/fs/cgroup.
Status add_cgroups(Opening& opening, oci::Mount mount, sys::UniqueMount top,
                   const std::vector<plugins::CgroupView>& views) {
  if (views.empty()) {
    mount.type = "cgroup2";
    mount.source = "cgroup2";
    opening.add(std::move(mount));
    return {};
  }
  oci::Mount root{mount.destination, "bind", "berth:cgroup", {"nosuid", "nodev", "noexec", "ro"}};
  opening.add(std::move(root), std::move(top), true);
  for (const plugins::CgroupView& view : views) {
    TRY(sys::UniqueMount tree, sys::open_tree_clone(view.directory.get(), "", false));
    opening.add(
        {mount.destination + "/" + view.name, "bind", "berth:cgroup/" + view.name, mount.options},
        std::move(tree), true);
  }
  return {};
}

bool is_host_path(const oci::Mount& mount) {
  return mount.type == "bind" && !mount.source.starts_with("berth:");
}

std::vector<HostPath> host_paths(const std::vector<oci::Mount>& mounts,
                                 const v1::ContainerConfig& config) {
  const VolumeFields fields(config);
  std::vector<HostPath> paths;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    if (!is_host_path(mounts[i])) continue;
    const std::string field = fields.of(mounts[i].destination) + ".host_path";
    const std::vector<std::string>& options = mounts[i].options;
    const bool recursive = std::find(options.begin(), options.end(), "rbind") != options.end();
    paths.push_back({i, mounts[i].source, field, recursive});
  }
  return paths;
}

}  // namespace

KernelSources::KernelSources(Ring& ring, const sys::MountFeatures& features,
                             std::string seccomp_root)
    : ring_(ring),
      features_(features),
      volumes_(ring),
      cgroup_views_(features.clones_detached),
      seccomp_(std::move(seccomp_root)),
      log_threads_(ring, kLogThreadsMax),
      device_threads_(ring, kDeviceThreadsMax) {}

Task<UniqueFd> KernelSources::open_rootfs(const Node& node,
                                          std::vector<plugins::SnapshotMount> mounts) {
  // The filesystem below may be slow, and the loop has other containers to serve.
  auto work = [this, mounts = std::move(mounts), lowest = node.layout.mount_points()]() {
    return mount_snapshot(features_, mounts, lowest);
  };
  UniqueFd rootfs = co_await offload(ring_, std::move(work));
  co_return rootfs;
}

Result<UserFiles> KernelSources::read_user_files(const UniqueFd& rootfs) {
  UserFiles files;
  TRY(files.passwd, read_user_file(rootfs, "etc/passwd"));
  TRY(files.group, read_user_file(rootfs, "etc/group"));
  return files;
}

Task<FoundDevices> KernelSources::find_devices(const v1::ContainerConfig& config) {
  return cri::find_devices(device_threads_, config);
}

Result<std::shared_ptr<const oci::Seccomp>> KernelSources::seccomp_of(
    const v1::LinuxContainerSecurityContext& security, std::uint64_t capabilities) {
  return seccomp_.profile_of(security, capabilities);
}

Task<UniqueFd> KernelSources::open_log(std::string log_directory, std::string log_path) {
  return cri::open_log(log_threads_, std::move(log_directory), std::move(log_path));
}

Task<OpenedMounts> KernelSources::open_mounts(Node& node, const Sandbox& sandbox,
                                              const records::SandboxRecord& pod,
                                              const records::ContainerRecord& record,
                                              std::vector<oci::Mount> mounts) {
  PodFiles files = co_await node.sandbox_files.find(sandbox, pod);
  std::vector<plugins::CgroupView> views =
      co_await node.resources.views(record.sandbox_id(), record.id());
  sys::UniqueMount view_root = co_await cgroup_views_.with(views);
  ImageTrees images = co_await mount_image_volumes(node, record);
  HostTrees hosts = co_await volumes_.open(host_paths(mounts, record.config()));
  Opening opening;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    oci::Mount& mount = mounts[i];
    Status added;
    if (mount.type == "cgroup") {
      // There is one such mount.
      added = add_cgroups(opening, std::move(mount), std::exchange(view_root, {}), views);
    } else if (is_host_path(mount)) {
      HostTree& tree = hosts.at(i);
      opening.add(std::move(mount), std::move(tree.tree), tree.is_directory);
    } else if (mount.source.starts_with(kPodPart)) {
      added = add_pod_file(opening, std::move(mount), files);
    } else if (mount.source.starts_with(kImagePart)) {
      added = add_image(opening, std::move(mount), images);
    } else {
      opening.add(std::move(mount));
    }
    co_await std::move(added);
  }
  co_return std::move(opening).take();
}

}  // namespace berth::cri
