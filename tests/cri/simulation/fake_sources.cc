// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/fake_sources.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

namespace berth::simulation {

namespace {

Result<UniqueFd> open_nothing() {
  UniqueFd fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return sys_error(errno, "open", "/dev/null");
  return fd;
}

}  // namespace

Task<UniqueFd> FakeSources::open_rootfs(const cri::Node&, std::vector<plugins::SnapshotMount>) {
  co_await faults_.before("sources.open_rootfs");
  UniqueFd rootfs = co_await open_nothing();
  co_return rootfs;
}

Result<cri::UserFiles> FakeSources::read_user_files(const UniqueFd&) {
  return cri::UserFiles();
}

Task<cri::FoundDevices> FakeSources::find_devices(const runtime::v1::ContainerConfig&) {
  co_await faults_.before("sources.find_devices");
  co_return cri::FoundDevices();
}

Result<std::shared_ptr<const oci::Seccomp>> FakeSources::seccomp_of(
    const runtime::v1::LinuxContainerSecurityContext&, std::uint64_t) {
  return std::shared_ptr<const oci::Seccomp>();
}

Task<UniqueFd> FakeSources::open_log(std::string, std::string) {
  co_await faults_.before("sources.open_log");
  UniqueFd log = co_await open_nothing();
  co_return log;
}

Task<cri::OpenedMounts> FakeSources::open_mounts(cri::Node&, const cri::Sandbox&,
                                                 const cri::records::SandboxRecord&,
                                                 const cri::records::ContainerRecord&,
                                                 std::vector<oci::Mount> mounts) {
  co_await faults_.before("sources.open_mounts");
  cri::OpenedMounts opened;
  for (oci::Mount& mount : mounts) {
    if (mount.type == "cgroup") continue;
    if (mount.type == "bind") {
      plugins::MountTree tree;
      tree.mount = opened.mounts.size();
      tree.tree = co_await open_nothing();
      opened.trees.push_back(std::move(tree));
    }
    opened.mounts.push_back(std::move(mount));
  }
  co_return opened;
}

Result<UniqueFd> FakeSandboxFiles::make(const cri::records::SandboxRecord&) {
  return open_nothing();
}

Task<cri::PodFiles> FakeSandboxFiles::find(const cri::Sandbox& sandbox,
                                           const cri::records::SandboxRecord&) {
  co_await faults_.before("files.find");
  on_disk_.insert(sandbox.id());
  co_return cri::PodFiles();
}

Task<void> FakeSandboxFiles::remove(std::string sandbox_id) {
  co_await faults_.before("files.remove");
  on_disk_.erase(sandbox_id);
  co_await faults_.after("files.remove");
}

std::vector<std::string> FakeSandboxFiles::remove_unknown(
    const std::function<bool(std::string_view)>& is_known) {
  std::vector<std::string> removed;
  for (const std::string& id : on_disk_) {
    if (!is_known(id)) removed.push_back(id);
  }
  for (const std::string& id : removed) on_disk_.erase(id);
  return removed;
}

}  // namespace berth::simulation
