// SPDX-License-Identifier: Apache-2.0
// The launch plan: everything the keeper and its child must know to make one process, as one flat
// message in a sealed memfd. Fixed header, then arrays and strings that are found by offset from
// the start of the message. Written by launch.h in the agent, read by plan_view.h in the keeper;
// numbers in the byte order of the machine. Descriptors travel beside it in an ordered array; "fd"
// fields are indices into that array, -1 for none.
//
// Both programs come from one build but an upgraded agent meets an old keeper: any change here
// raises kPlanVersion, and a keeper refuses a version that it does not know.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::container {

constexpr std::uint32_t kPlanMagic = 0x6e6c7062;  // "bpln"
constexpr std::uint16_t kPlanVersion = 2;
constexpr std::size_t kPlanSizeMax = std::size_t{4} << 20;
// Every mount may have a descriptor, and some more name namespaces and cgroups.
constexpr std::uint32_t kPlanFdsMax = 1280;
constexpr std::uint32_t kPlanMountsMax = 1024;
constexpr std::uint32_t kPlanEntriesMax = 1U << 16;  // of any other array

enum class PlanKind : std::uint16_t {
  container = 1,  // fresh mount namespace, the rootfs attached and furnished, exec
  exec = 2,       // enters the namespaces of a running container through its pidfd, exec
  pod_init = 3,   // first process of a shared PID namespace: reaps and waits for SIGTERM, no exec
};

enum PlanFlag : std::uint32_t {
  kPlanTerminal = 1U << 0,
  kPlanNoNewPrivileges = 1U << 1,
  kPlanRootReadonly = 1U << 2,
  kPlanHasUmask = 1U << 3,
  kPlanHasOomScoreAdj = 1U << 4,
};

// `count` elements at `offset`; for text the number of bytes without the NUL that follows them.
struct PlanRef {
  std::uint32_t offset = 0;
  std::uint32_t count = 0;
};

enum class PlanNamespaceMode : std::int32_t { host = 0, fresh = 1, join = 2 };
struct PlanNamespace {
  PlanNamespaceMode mode = PlanNamespaceMode::host;
  std::int32_t fd = -1;
};
// Index into PlanHeader::namespaces.
enum PlanNamespaceIndex { kPlanPid, kPlanMount, kPlanIpc, kPlanUts, kPlanNetwork, kPlanCgroup };
constexpr std::size_t kPlanNamespaces = 6;

struct PlanOption {
  PlanRef key;
  PlanRef value;
  std::uint32_t has_value = 0;  // 0: a flag
};

struct PlanMount {
  PlanRef destination;
  PlanRef type;
  PlanRef source;
  PlanRef options;  // PlanOption
  std::int32_t fd = -1;
  std::uint32_t destination_is_file = 0;
  std::uint64_t flags = 0;
  std::uint64_t recursive_flags = 0;
  std::uint64_t propagation = 0;
};

struct PlanDevice {
  PlanRef path;
  std::uint32_t mode = 0;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct PlanRlimit {
  std::uint64_t type = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

// "net.ipv4.ip_forward" is the path "net/ipv4/ip_forward" here.
struct PlanSysctl {
  PlanRef path;
  PlanRef value;
};

struct PlanCapabilities {
  std::uint64_t bounding = 0;
  std::uint64_t effective = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t permitted = 0;
  std::uint64_t ambient = 0;
};

struct PlanHeader {
  std::uint32_t magic = kPlanMagic;
  std::uint16_t version = kPlanVersion;
  PlanKind kind = PlanKind::container;
  std::uint32_t size = 0;  // of the whole message
  std::uint32_t fd_count = 0;
  std::uint32_t flags = 0;  // PlanFlag
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t umask = 0;
  std::int32_t oom_score_adj = 0;
  std::int32_t rootfs_fd = -1;  // container: detached mount
  std::int32_t target_fd = -1;  // exec: pidfd of a process of the container
  std::int32_t cgroup_fd = -1;  // cgroup v2 directory
  PlanNamespace namespaces[kPlanNamespaces];
  PlanCapabilities capabilities;
  PlanRef cwd;             // text
  PlanRef args;            // PlanRef to text
  PlanRef env;             // PlanRef to text
  PlanRef groups;          // std::uint32_t
  PlanRef rlimits;         // PlanRlimit
  PlanRef mounts;          // PlanMount
  PlanRef devices;         // PlanDevice
  PlanRef masked_paths;    // PlanRef to text
  PlanRef readonly_paths;  // PlanRef to text
  PlanRef sysctls;         // PlanSysctl
  PlanRef tasks;           // std::int32_t: fds of cgroup v1 `tasks` files
  PlanRef seccomp;         // std::uint64_t: struct sock_filter
};

}  // namespace berth::container
