// SPDX-License-Identifier: Apache-2.0
// The files that the containers of a pod share: /dev/shm and the pod's own /etc/hosts,
// /etc/hostname and /etc/resolv.conf. Containers may write to them. All four are in one detached
// tmpfs of the pod, so that a pod which fills it harms only itself; the runtime handler keeps the
// descriptor of the tmpfs over a restart of the agent.
//
// KERNEL 6.15: open_tree can clone a part of a detached mount. On older kernels the files are on
// disk, below the root directory in pods/ID, and each container has a /dev/shm of its own. Proof:
// tests/core/linux/subtree_test.cc.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "core/task/task.h"
#include "cri/pods.h"
#include "cri/state/records.h"

namespace berth::cri {

struct PodFiles {
  int directory = -1;  // of the paths; borrowed from the sandbox, or AT_FDCWD
  std::string shm;     // empty: every container has its own
  std::string hosts;
  std::string hostname;
  std::string resolv_conf;
};

// An interface, so that tests of the calls make no mount.
class SandboxFiles {
 public:
  virtual ~SandboxFiles() = default;

  // A tmpfs of 64 MiB with all four. `record` has the pod's addresses.
  virtual Result<UniqueFd> make(const records::SandboxRecord& record) = 0;
  // Where the files are. Those on disk are written here when they are missing.
  virtual Task<PodFiles> find(const Sandbox& sandbox, const records::SandboxRecord& record) = 0;
  // Those on disk. Absent: fine.
  virtual Task<void> remove(std::string sandbox_id) = 0;
  // Those on disk of every sandbox that is not known. Gives the paths. Blocks.
  virtual std::vector<std::string> remove_unknown(
      const std::function<bool(std::string_view sandbox_id)>& is_known) = 0;
};

class KernelSandboxFiles final : public SandboxFiles {
 public:
  // `clones_detached`: sys::MountFeatures.
  KernelSandboxFiles(Ring& ring, const store::Layout& layout, bool clones_detached)
      : ring_(ring), pods_(layout.root_dir() + "/pods"), clones_detached_(clones_detached) {}

  Result<UniqueFd> make(const records::SandboxRecord& record) override;
  Task<PodFiles> find(const Sandbox& sandbox, const records::SandboxRecord& record) override;
  Task<void> remove(std::string sandbox_id) override;
  std::vector<std::string> remove_unknown(
      const std::function<bool(std::string_view sandbox_id)>& is_known) override;

 private:
  // Ids are hexadecimal digits (cri/ids.h): safe as a part of a path.
  std::string directory_of(const std::string& sandbox_id) const { return pods_ + "/" + sandbox_id; }

  Ring& ring_;
  const std::string pods_;
  const bool clones_detached_;
};

// The contents. Pure.
std::string hosts_text(const records::SandboxRecord& record);
std::string resolv_conf_text(const runtime::v1::DNSConfig& dns);

}  // namespace berth::cri
