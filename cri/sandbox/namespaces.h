// SPDX-License-Identifier: Apache-2.0
// The namespaces of a pod: which ones it has, how they are set up, and how they survive the agent
// (the keeper holds duplicates of the descriptors under the pod's id).
#pragma once

#include <string>
#include <vector>

#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// What the pod's config asks for; the host's otherwise.
struct NamespaceWish {
  bool net = true;
  bool ipc = true;
  bool uts = true;         // follows the network: a pod on the host's network has the host's name
  bool shared_pid = true;  // the containers share one PID namespace

  static NamespaceWish of(const runtime::v1::PodSandboxConfig& config);
};

// failed_precondition that names the first wished namespace whose descriptor is not there: its
// containers must not get the host's instead.
Status check_complete(const std::string& pod_id, const PodNamespaces& namespaces,
                      const NamespaceWish& wish);

// The pod's host name: as asked for, else the pod's name cut to what uts allows.
std::string hostname_of(const runtime::v1::PodSandboxConfig& config);

// Sets the host name and the sysctls inside the pod's namespaces, on a thread that enters them.
Task<void> configure_namespaces(Node& node, const PodNamespaces& namespaces,
                                const runtime::v1::PodSandboxConfig& config);

// Descriptors in the fixed order net, ipc, uts, pid, tmpfs; which of them are there is coded in the
// name under which the keeper holds them.
Task<void> hold_namespaces(Node& node, const std::string& pod_id, const PodNamespaces& namespaces);
// Everything held for the pod, under whatever name. Nothing held: fine.
Task<void> drop_namespaces(Node& node, const std::string& pod_id);
std::string held_name(const std::string& pod_id, const PodNamespaces& namespaces);
// The reverse, at start: the pod id that `name` holds descriptors for; empty when it is no such
// name.
std::string pod_of_held(const std::string& name);
PodNamespaces namespaces_of_held(const std::string& name, std::vector<UniqueFd> fds);

}  // namespace berth::cri
