// SPDX-License-Identifier: Apache-2.0
// Sources opens what a container is made of and has no descriptor yet: the root filesystem, the
// sources of its mounts, its log, and looks at the host's devices and at the image's user files.
//
// A server that does not answer may be behind each path that a client names. Such a path is looked
// at on a thread of its own, and the caller waits for no longer than its deadline: cancelled, the
// error names the field and the path.
//
// An interface, so that a test of the calls needs no kernel. main owns KernelSources
// (cri/container/kernel_sources.h); used on the loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/oci/spec.h"
#include "core/task/task.h"
#include "cri/pods.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/spec/devices.h"
#include "cri/spec/user.h"
#include "cri/state/records.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

struct Node;

// The mounts of a specification with their opened sources.
struct OpenedMounts {
  // Without an entry of type "cgroup": the views of the container's groups stand in its place, or a
  // filesystem of type cgroup2.
  std::vector<oci::Mount> mounts{};
  std::vector<plugins::MountTree> trees{};  // one for each bind mount
};

class Sources {
 public:
  virtual ~Sources() = default;

  // The detached root filesystem that a snapshotter describes.
  virtual Task<UniqueFd> open_rootfs(const Node& node,
                                     std::vector<plugins::SnapshotMount> mounts) = 0;
  // /etc/passwd and /etc/group of the image; empty when it has none.
  virtual Result<UserFiles> read_user_files(const UniqueFd& rootfs) = 0;
  // As they are on the host now. invalid_argument names config.devices.host_path: a path that does
  // not exist, is not a device or has too many files below it.
  virtual Task<FoundDevices> find_devices(const runtime::v1::ContainerConfig& config) = 0;
  // Null: unconfined. `capabilities` is the container's bounding set. invalid_argument names the
  // field or the profile.
  virtual Result<std::shared_ptr<const oci::Seccomp>> seccomp_of(
      const runtime::v1::LinuxContainerSecurityContext& security, std::uint64_t capabilities) = 0;
  // Opens for appending and makes missing directories. Errors name config.log_path.
  virtual Task<UniqueFd> open_log(std::string log_directory, std::string log_path) = 0;
  // The references outlive the task. Errors name config.mounts[N].
  virtual Task<OpenedMounts> open_mounts(Node& node, const Sandbox& sandbox,
                                         const records::SandboxRecord& pod,
                                         const records::ContainerRecord& record,
                                         std::vector<oci::Mount> mounts) = 0;
};

}  // namespace berth::cri
