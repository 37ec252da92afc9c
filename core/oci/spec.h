// SPDX-License-Identifier: Apache-2.0
// The OCI runtime specification (1.2, config.md and config-linux.md) as plain data, with the names
// of the specification. One Spec is everything there is to know about a container: it is resolved
// once, at CreateContainer, stored with the record, and launched by a runtime handler. An exec
// takes its process from it. core/oci/spec_json.h writes it as config.json.
//
// Parts that berth makes have names instead of paths, because they are descriptors and have no path
// on the host. They stand where the specification has a path and begin with "berth:":
//
//   Mount::source     "berth:pod/shm", "berth:pod/hosts", "berth:pod/hostname",
//                     "berth:pod/resolv.conf"
//                     "berth:image/INDEX"       the image volume of config.mounts[INDEX]
//                     "berth:cgroup"            the directory of hierarchies of a v1 machine
//                     "berth:cgroup/NAME"       the container's group in one of them
//   Namespace::path   "berth:sandbox"           the sandbox's namespace of that type
//                     "berth:container/ID"      that of a running container
//
// Values of a field that is not optional mean what the specification says of a missing member.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace berth::oci {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids{};
  std::optional<mode_t> umask{};
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
  User user{};
  std::vector<std::string> args{};  // args[0] is looked up in the container's PATH without a '/'
  std::vector<std::string> env{};   // "NAME=value", any bytes but NUL
  std::string cwd = "/";            // made (0755, user's) when missing
  Capabilities capabilities{};
  std::vector<Rlimit> rlimits{};
  bool no_new_privileges = false;
  std::string apparmor_profile{};
  std::string selinux_label{};
  std::optional<int> oom_score_adj{};  // clamped by the launcher when lowering is not permitted
};

struct Root {
  // The handler is given the root filesystem as a descriptor; `path` is only in a config.json.
  bool readonly = false;
};

// One mount, in the order of the list. `type` "bind": `source` is a path of the host or a named
// part. Any other type: a new filesystem. `type` "cgroup": what the resources plugin shows of the
// container's cgroups. `options` are those of mount(8) and of the specification ("ro", "rbind",
// "rprivate", "rro", "mode=755"). The destination is resolved inside the root filesystem and made
// when missing.
struct Mount {
  std::string destination{};
  std::string type{};
  std::string source{};
  std::vector<std::string> options{};
};

// A node in the container's /dev.
struct Device {
  std::string path{};
  mode_t mode = 0;  // type (S_IFCHR, S_IFBLK, S_IFIFO) and permission bits, as for mknod(2)
  unsigned major = 0;
  unsigned minor = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// linux.resources.devices: what the cgroup lets through. No number: any.
struct DeviceRule {
  bool allow = false;
  char type = 'a';  // 'a' all, 'c' character, 'b' block
  std::optional<std::int64_t> major{};
  std::optional<std::int64_t> minor{};
  std::string access{};  // of "rwm"
};

struct Memory {
  std::optional<std::int64_t> limit{};  // bytes, -1: no limit
  std::optional<std::int64_t> swap{};   // memory and swap together, -1: no limit
};

struct Cpu {
  std::optional<std::uint64_t> shares{};
  std::optional<std::int64_t> quota{};    // microseconds in each period, -1: no limit
  std::optional<std::uint64_t> period{};  // microseconds
  std::string cpus{};
  std::string mems{};
};

struct HugepageLimit {
  std::string page_size{};  // "2MB"
  std::uint64_t limit = 0;  // bytes
};

struct Resources {
  std::vector<DeviceRule> devices{};
  Memory memory{};
  Cpu cpu{};
  std::optional<std::int64_t> pids_limit{};
  std::vector<HugepageLimit> hugepage_limits{};
  std::map<std::string, std::string> unified{};
};

enum class NamespaceType { pid, network, mount, ipc, uts, user, cgroup };

// In the list: a namespace of the container's own when `path` is empty, else that one is joined.
// Not in the list: the host's.
struct Namespace {
  NamespaceType type = NamespaceType::pid;
  std::string path{};
};

struct SeccompArg {
  unsigned index = 0;
  std::uint64_t value = 0;
  std::uint64_t value_two = 0;
  std::string op{};  // "SCMP_CMP_EQ"
  // Not of the specification: compares the low 32 bits of the register, as the kernel does for a
  // parameter of type int. config.json says it as SCMP_CMP_MASKED_EQ where that is possible.
  bool is_int = false;
};

struct SeccompSyscall {
  std::vector<std::string> names{};
  std::string action{};  // "SCMP_ACT_ALLOW"
  std::optional<std::uint32_t> errno_ret{};
  std::vector<SeccompArg> args{};  // all must hold
};

// A profile, not a program: the handler compiles it.
struct Seccomp {
  std::string default_action{};
  std::optional<std::uint32_t> default_errno_ret{};
  std::vector<std::string> architectures{};  // "SCMP_ARCH_X86"
  std::vector<std::string> flags{};
  std::vector<SeccompSyscall> syscalls{};
  // Not of the specification: a system call newer than every one that is named gets ENOSYS in
  // place of the default action.
  bool newer_is_absent = false;
};

struct Hook {
  std::string path{};
  std::vector<std::string> args{};
  std::vector<std::string> env{};
  std::optional<int> timeout{};  // seconds
};

struct Hooks {
  std::vector<Hook> prestart{};
  std::vector<Hook> create_runtime{};
  std::vector<Hook> create_container{};
  std::vector<Hook> start_container{};
  std::vector<Hook> poststart{};
  std::vector<Hook> poststop{};
};

struct Linux {
  std::vector<Namespace> namespaces{};
  std::vector<Device> devices{};
  std::string cgroups_path{};
  Resources resources{};
  std::map<std::string, std::string> sysctl{};
  // Null: unconfined. Shared by every container with the same profile.
  std::shared_ptr<const Seccomp> seccomp{};
  std::vector<std::string> masked_paths{};
  std::vector<std::string> readonly_paths{};
};

struct Spec {
  Process process{};
  Root root{};
  std::string hostname{};
  std::vector<Mount> mounts{};
  Hooks hooks{};
  std::map<std::string, std::string> annotations{};
  Linux linux{};
};

// The namespace of `type` in the list; null: the host's.
const Namespace* find_namespace(const Linux& from, NamespaceType type);

}  // namespace berth::oci
