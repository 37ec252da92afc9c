// SPDX-License-Identifier: Apache-2.0
// What the containers of a pod share in their file trees: /dev/shm, and the pod's own /etc/hosts,
// /etc/hostname and /etc/resolv.conf. All four are in one detached tmpfs of the pod, whose
// descriptor is among its namespaces: containers may write to them, so they are nowhere where a
// filled filesystem hurts anybody but the pod.
//
// KERNEL 6.15: open_tree can clone a part of a detached mount. Before, the files are on disk, as
// all that containers write, and each container has a /dev/shm of its own.
#pragma once

#include <string>

#include "cri/node.h"
#include "cri/pods.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/state/records.h"

namespace berth::cri {

// A tmpfs of 64 MiB with all of it. `record` has the pod's addresses.
Result<UniqueFd> make_pod_tmpfs(const records::SandboxRecord& record);

struct PodFiles {
  int directory = -1;  // what the paths are relative to; borrowed from the sandbox
  std::string shm;     // empty: every container has its own
  std::string hosts;
  std::string hostname;
  std::string resolv_conf;
};

// Where they are. Files on disk are written here, on another thread, aside and renamed.
Task<PodFiles> find_pod_files(Node& node, const Sandbox& sandbox,
                              const records::SandboxRecord& record);

// What they contain. Pure.
std::string hosts_text(const records::SandboxRecord& record);
std::string resolv_conf_text(const runtime::v1::DNSConfig& dns);

// Those on disk. Absent: fine.
Task<void> remove_pod_files(Node& node, std::string pod_id);

}  // namespace berth::cri
