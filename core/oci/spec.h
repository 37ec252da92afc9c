// SPDX-License-Identifier: Apache-2.0
// What one process of a container is to be: the part of the OCI runtime specification (1.2,
// config.md and config-linux.md) that berth understands, with the specification's names. The CRI
// room fills it, a runtime handler consumes it: the native one turns it into a launch plan, one
// that drives an OCI command line would write it as config.json. Plain data; descriptors are
// borrowed unless they are UniqueFd.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::oci {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  std::optional<mode_t> umask;
};

// Bit n is capability n of linux/capability.h.
struct Capabilities {
  std::uint64_t bounding = 0;
  std::uint64_t effective = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t permitted = 0;
  std::uint64_t ambient = 0;
};

struct Rlimit {
  int type = 0;  // RLIMIT_*
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct Process {
  bool terminal = false;
  User user;
  std::vector<std::string> args;  // args[0] is looked up in the container's PATH when it has no '/'
  std::vector<std::string> env;   // "NAME=value"
  std::string cwd = "/";          // made (0755, user's) when missing
  Capabilities capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;  // clamped by the launcher when lowering is not permitted
};

// One mount in the order of the list. With `source_fd` >= 0 the source is a detached mount tree
// (open_tree or fsmount) that is moved to `destination`; type, source and data are then unused.
// Otherwise a new filesystem of `type` is made with `data` as its option string. `flags` are
// MOUNT_ATTR_* values (mount_setattr(2)); `recursive_flags` are applied with AT_RECURSIVE. The
// destination is resolved inside the rootfs and made when missing: a directory, or a file when
// `destination_is_file`.
struct Mount {
  std::string destination{};
  std::string type{};
  std::string source{};
  std::string data{};
  int source_fd = -1;
  std::uint64_t flags = 0;
  std::uint64_t recursive_flags = 0;
  std::uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE, MS_SHARED or 0 for private; recursive
  bool destination_is_file = false;
};

struct Device {
  std::string path;
  mode_t mode = 0;  // type and permission bits, as for mknod(2)
  unsigned major = 0;
  unsigned minor = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// How a process gets one kind of namespace.
struct Namespace {
  enum class Mode { host, fresh, join };
  Mode mode = Mode::host;
  int fd = -1;  // for join: a descriptor of the namespace; borrowed
};

struct Namespaces {
  Namespace pid{Namespace::Mode::fresh, -1};
  Namespace mount{Namespace::Mode::fresh, -1};
  Namespace ipc;
  Namespace uts;
  Namespace network;
  Namespace cgroup{Namespace::Mode::fresh, -1};
  Namespace user;
};

// A classic BPF program as seccomp(2) takes it: struct sock_filter, eight bytes each.
struct SeccompProgram {
  std::vector<std::uint64_t> instructions;  // empty: unconfined
};

struct Spec {
  Process process;
  bool root_readonly = false;
  std::vector<Mount> mounts;
  Namespaces namespaces;
  std::vector<Device> devices;  // nodes in the container's /dev
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::map<std::string, std::string> sysctl;  // namespaced ones, "net.ipv4.ip_forward" -> "1"
  SeccompProgram seccomp;
};

}  // namespace berth::oci
