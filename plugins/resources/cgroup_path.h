// SPDX-License-Identifier: Apache-2.0
// Names of cgroups, relative to the root of a hierarchy. Pure functions.
//
//   <parent>/berth-<pod>/<container>     v2, and v1 where the pod has limits of its own
//   <parent>/berth-<pod>.<container>     v1 otherwise: a memory cgroup costs 30 KiB, so a pod
//                                        without limits has none above its containers
//   .../init                             the init of a shared PID namespace
//
// <parent> is the agent's own (--cgroup-parent), or the kubelet's for that pod.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::plugins {

constexpr std::string_view kPodPrefix = "berth-";
constexpr std::string_view kPodInit = "init";

// "/kubepods/burstable/podX" to "kubepods/burstable/podX". invalid_argument quotes a path that is
// empty, has a part "..", ".", or longer than 255 bytes, or a zero byte, or more than 4096 bytes.
Result<std::string> relative_cgroup_path(std::string_view path);
// Pod and container ids as path components: 1..128 bytes of [A-Za-z0-9_-]. No dot, because the flat
// form is divided at it.
Status validate_cgroup_id(std::string_view field, std::string_view id);

std::string pod_path(std::string_view parent, std::string_view pod_id);
std::string nested_path(std::string_view parent, std::string_view pod_id,
                        std::string_view container_id);
std::string flat_path(std::string_view parent, std::string_view pod_id,
                      std::string_view container_id);

// The reverse of a name below <parent>; empty pod_id: the name is not one of ours.
struct CgroupName {
  std::string pod_id;
  std::string container_id;  // of the flat form
};
CgroupName parse_cgroup_name(std::string_view name);

}  // namespace berth::plugins
