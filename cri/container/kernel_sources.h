// SPDX-License-Identifier: Apache-2.0
// The Sources of a real node.
#pragma once

#include <string>

#include "core/linux/overlay_mount.h"
#include "core/ring/may_hang.h"
#include "core/ring/ring.h"
#include "cri/container/cgroup_view.h"
#include "cri/container/seccomp_profiles.h"
#include "cri/container/sources.h"
#include "cri/container/volumes.h"

namespace berth::cri {

class KernelSources final : public Sources {
 public:
  // `seccomp_root` is where relative localhost profiles are.
  KernelSources(Ring& ring, const sys::MountFeatures& features, std::string seccomp_root);

  Task<UniqueFd> open_rootfs(const Node& node, std::vector<plugins::SnapshotMount> mounts) override;
  Result<UserFiles> read_user_files(const UniqueFd& rootfs) override;
  Task<FoundDevices> find_devices(const runtime::v1::ContainerConfig& config) override;
  Result<std::shared_ptr<const oci::Seccomp>> seccomp_of(
      const runtime::v1::LinuxContainerSecurityContext& security,
      std::uint64_t capabilities) override;
  Task<UniqueFd> open_log(std::string log_directory, std::string log_path) override;
  Task<OpenedMounts> open_mounts(Node& node, const Sandbox& sandbox,
                                 const records::SandboxRecord& pod,
                                 const records::ContainerRecord& record,
                                 std::vector<oci::Mount> mounts) override;

 private:
  Ring& ring_;
  const sys::MountFeatures& features_;
  Volumes volumes_;
  CgroupViewTree cgroup_views_;
  SeccompProfiles seccomp_;
  // One pool each: logs that do not answer do not stop devices from being looked at.
  HangingThreads log_threads_;
  HangingThreads device_threads_;
};

}  // namespace berth::cri
