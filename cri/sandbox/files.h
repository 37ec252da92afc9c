// SPDX-License-Identifier: Apache-2.0
// The pod's own /etc/hosts, /etc/hostname and /etc/resolv.conf. Made with the pod; a container's
// start makes again what has gone meanwhile.
#pragma once

#include "core/base/result.h"
#include "core/store/layout.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

struct PodFiles {
  std::string hosts;
  std::string hostname;
  std::string resolv_conf;
};

// Writes what is missing and gives the paths. Atomic: written aside and renamed.
Result<PodFiles> make_pod_files(const store::Layout& layout, const std::string& pod_id,
                                const runtime::v1::PodSandboxConfig& config,
                                const std::vector<std::string>& ips);

// What they contain. Pure.
std::string hosts_text(const std::string& hostname, const std::vector<std::string>& ips);
std::string resolv_conf_text(const runtime::v1::DNSConfig& dns);

// Absent: fine.
Status remove_pod_files(const store::Layout& layout, const std::string& pod_id);

}  // namespace berth::cri
