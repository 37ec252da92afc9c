// SPDX-License-Identifier: Apache-2.0
// The sources of containers and the files of pods without a kernel object: every descriptor is one
// of /dev/null.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cri/container/sources.h"
#include "cri/sandbox/files.h"
#include "tests/support/fakes/faults.h"

namespace berth::simulation {

class FakeSources final : public cri::Sources {
 public:
  explicit FakeSources(fakes::Faults& faults) : faults_(faults) {}

  Task<UniqueFd> open_rootfs(const cri::Node& node,
                             std::vector<plugins::SnapshotMount> mounts) override;
  Result<cri::UserFiles> read_user_files(const UniqueFd& rootfs) override;
  Task<cri::FoundDevices> find_devices(const runtime::v1::ContainerConfig& config) override;
  Result<std::shared_ptr<const oci::Seccomp>> seccomp_of(
      const runtime::v1::LinuxContainerSecurityContext& security,
      std::uint64_t capabilities) override;
  Task<UniqueFd> open_log(std::string log_directory, std::string log_path) override;
  Task<cri::OpenedMounts> open_mounts(cri::Node& node, const cri::Sandbox& sandbox,
                                      const cri::records::SandboxRecord& pod,
                                      const cri::records::ContainerRecord& record,
                                      std::vector<oci::Mount> mounts) override;

 private:
  fakes::Faults& faults_;
};

// As on a kernel that cannot clone a part of a detached tmpfs: files are "on disk", in a set.
class FakeSandboxFiles final : public cri::SandboxFiles {
 public:
  FakeSandboxFiles(std::set<std::string>& on_disk, fakes::Faults& faults)
      : on_disk_(on_disk), faults_(faults) {}

  Result<UniqueFd> make(const cri::records::SandboxRecord& record) override;
  Task<cri::PodFiles> find(const cri::Sandbox& sandbox,
                           const cri::records::SandboxRecord& record) override;
  Task<void> remove(std::string sandbox_id) override;
  std::vector<std::string> remove_unknown(
      const std::function<bool(std::string_view sandbox_id)>& is_known) override;

 private:
  std::set<std::string>& on_disk_;
  fakes::Faults& faults_;
};

}  // namespace berth::simulation
