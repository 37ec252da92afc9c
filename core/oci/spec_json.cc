// SPDX-License-Identifier: Apache-2.0
#include "core/oci/spec_json.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace berth::oci {
namespace {

using Json = nlohmann::ordered_json;

// By bit, linux/capability.h.
constexpr std::array<const char*, 41> kCapabilities = {"CHOWN",
                                                       "DAC_OVERRIDE",
                                                       "DAC_READ_SEARCH",
                                                       "FOWNER",
                                                       "FSETID",
                                                       "KILL",
                                                       "SETGID",
                                                       "SETUID",
                                                       "SETPCAP",
                                                       "LINUX_IMMUTABLE",
                                                       "NET_BIND_SERVICE",
                                                       "NET_BROADCAST",
                                                       "NET_ADMIN",
                                                       "NET_RAW",
                                                       "IPC_LOCK",
                                                       "IPC_OWNER",
                                                       "SYS_MODULE",
                                                       "SYS_RAWIO",
                                                       "SYS_CHROOT",
                                                       "SYS_PTRACE",
                                                       "SYS_PACCT",
                                                       "SYS_ADMIN",
                                                       "SYS_BOOT",
                                                       "SYS_NICE",
                                                       "SYS_RESOURCE",
                                                       "SYS_TIME",
                                                       "SYS_TTY_CONFIG",
                                                       "MKNOD",
                                                       "LEASE",
                                                       "AUDIT_WRITE",
                                                       "AUDIT_CONTROL",
                                                       "SETFCAP",
                                                       "MAC_OVERRIDE",
                                                       "MAC_ADMIN",
                                                       "SYSLOG",
                                                       "WAKE_ALARM",
                                                       "BLOCK_SUSPEND",
                                                       "AUDIT_READ",
                                                       "PERFMON",
                                                       "BPF",
                                                       "CHECKPOINT_RESTORE"};

// By number, getrlimit(2).
constexpr std::array<const char*, 16> kRlimits = {
    "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
    "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};

// By NamespaceType.
constexpr std::array<const char*, 7> kNamespaces = {"pid", "network", "mount", "ipc",
                                                    "uts", "user",    "cgroup"};

bool is_named_part(const std::string& path) {
  return path.starts_with("berth:");
}

template <typename T>
void set_if(Json& object, const char* member, const std::optional<T>& value) {
  if (value) object[member] = *value;
}
void set_if(Json& object, const char* member, const std::string& value) {
  if (!value.empty()) object[member] = value;
}
template <typename T>
void set_if(Json& object, const char* member, const std::vector<T>& list) {
  if (!list.empty()) object[member] = list;
}
template <typename T>
void set_if(Json& object, const char* member, const std::map<std::string, T>& map) {
  if (!map.empty()) object[member] = map;
}

Json capability_list(std::uint64_t mask) {
  Json list = Json::array();
  for (std::size_t bit = 0; bit < kCapabilities.size(); ++bit) {
    if ((mask >> bit & 1U) != 0) list.push_back(std::string("CAP_") + kCapabilities[bit]);
  }
  return list;
}

Result<Json> process_json(const Process& from) {
  Json user = {{"uid", from.user.uid}, {"gid", from.user.gid}};
  set_if(user, "umask", from.user.umask);
  set_if(user, "additionalGids", from.user.additional_gids);
  Json to = {{"terminal", from.terminal}, {"user", std::move(user)}, {"args", from.args}};
  set_if(to, "env", from.env);
  to["cwd"] = from.cwd;
  to["capabilities"] = {{"bounding", capability_list(from.capabilities.bounding)},
                        {"effective", capability_list(from.capabilities.effective)},
                        {"inheritable", capability_list(from.capabilities.inheritable)},
                        {"permitted", capability_list(from.capabilities.permitted)},
                        {"ambient", capability_list(from.capabilities.ambient)}};
  for (const Rlimit& limit : from.rlimits) {
    if (limit.type < 0 || static_cast<std::size_t>(limit.type) >= kRlimits.size()) {
      return make_error(Errc::invalid_argument,
                        "process.rlimits: " + std::to_string(limit.type) + " has no name");
    }
    to["rlimits"].push_back(
        {{"type", std::string("RLIMIT_") + kRlimits[static_cast<std::size_t>(limit.type)]},
         {"hard", limit.hard},
         {"soft", limit.soft}});
  }
  to["noNewPrivileges"] = from.no_new_privileges;
  set_if(to, "apparmorProfile", from.apparmor_profile);
  set_if(to, "selinuxLabel", from.selinux_label);
  set_if(to, "oomScoreAdj", from.oom_score_adj);
  return to;
}

Result<Json> mounts_json(const std::vector<Mount>& mounts, const BundlePaths& paths) {
  Json list = Json::array();
  for (const Mount& mount : mounts) {
    Json to = {{"destination", mount.destination}, {"type", mount.type}, {"source", mount.source}};
    if (is_named_part(mount.source)) {
      TRY(to["source"], paths.mount_source(mount.source));
    }
    set_if(to, "options", mount.options);
    list.push_back(std::move(to));
  }
  return list;
}

Result<Json> namespaces_json(const std::vector<Namespace>& namespaces, const BundlePaths& paths) {
  Json list = Json::array();
  for (const Namespace& one : namespaces) {
    Json to = {{"type", kNamespaces.at(static_cast<std::size_t>(one.type))}};
    if (is_named_part(one.path)) {
      TRY(to["path"], paths.namespace_path(one.type, one.path));
    } else {
      set_if(to, "path", one.path);
    }
    list.push_back(std::move(to));
  }
  return list;
}

Json devices_json(const std::vector<Device>& devices) {
  Json list = Json::array();
  for (const Device& device : devices) {
    const char* type = S_ISBLK(device.mode) ? "b" : S_ISFIFO(device.mode) ? "p" : "c";
    Json to = {{"type", type}, {"path", device.path}};
    if (!S_ISFIFO(device.mode)) {
      to["major"] = device.major;
      to["minor"] = device.minor;
    }
    to["fileMode"] = device.mode & 07777;
    to["uid"] = device.uid;
    to["gid"] = device.gid;
    list.push_back(std::move(to));
  }
  return list;
}

Json resources_json(const Resources& from) {
  Json to = Json::object();
  for (const DeviceRule& rule : from.devices) {
    Json one = {{"allow", rule.allow}};
    if (rule.type != 'a') one["type"] = std::string(1, rule.type);
    set_if(one, "major", rule.major);
    set_if(one, "minor", rule.minor);
    set_if(one, "access", rule.access);
    to["devices"].push_back(std::move(one));
  }
  Json memory = Json::object();
  set_if(memory, "limit", from.memory.limit);
  set_if(memory, "swap", from.memory.swap);
  if (!memory.empty()) to["memory"] = std::move(memory);
  Json cpu = Json::object();
  set_if(cpu, "shares", from.cpu.shares);
  set_if(cpu, "quota", from.cpu.quota);
  set_if(cpu, "period", from.cpu.period);
  set_if(cpu, "cpus", from.cpu.cpus);
  set_if(cpu, "mems", from.cpu.mems);
  if (!cpu.empty()) to["cpu"] = std::move(cpu);
  if (from.pids_limit) to["pids"] = {{"limit", *from.pids_limit}};
  for (const HugepageLimit& limit : from.hugepage_limits) {
    to["hugepageLimits"].push_back({{"pageSize", limit.page_size}, {"limit", limit.limit}});
  }
  set_if(to, "unified", from.unified);
  return to;
}

Json seccomp_arg_json(SeccompArg arg) {
  constexpr std::uint64_t kLow = 0xffff'ffff;
  if (arg.is_int && arg.op == "SCMP_CMP_EQ") {
    arg = {arg.index, kLow, arg.value & kLow, "SCMP_CMP_MASKED_EQ"};
  } else if (arg.is_int && arg.op == "SCMP_CMP_MASKED_EQ") {
    arg.value &= kLow;
  }
  return {{"index", arg.index}, {"value", arg.value}, {"valueTwo", arg.value_two}, {"op", arg.op}};
}

Json seccomp_json(const Seccomp& from) {
  Json to = {{"defaultAction", from.default_action}};
  set_if(to, "defaultErrnoRet", from.default_errno_ret);
  set_if(to, "architectures", from.architectures);
  set_if(to, "flags", from.flags);
  for (const SeccompSyscall& rule : from.syscalls) {
    Json one = {{"names", rule.names}, {"action", rule.action}};
    set_if(one, "errnoRet", rule.errno_ret);
    for (const SeccompArg& arg : rule.args) one["args"].push_back(seccomp_arg_json(arg));
    to["syscalls"].push_back(std::move(one));
  }
  return to;
}

Json hook_list(const std::vector<Hook>& hooks) {
  Json list = Json::array();
  for (const Hook& hook : hooks) {
    Json to = {{"path", hook.path}};
    set_if(to, "args", hook.args);
    set_if(to, "env", hook.env);
    set_if(to, "timeout", hook.timeout);
    list.push_back(std::move(to));
  }
  return list;
}

Json hooks_json(const Hooks& from) {
  Json to = Json::object();
  const std::pair<const char*, const std::vector<Hook>*> lists[] = {
      {"prestart", &from.prestart},
      {"createRuntime", &from.create_runtime},
      {"createContainer", &from.create_container},
      {"startContainer", &from.start_container},
      {"poststart", &from.poststart},
      {"poststop", &from.poststop}};
  for (const auto& [name, hooks] : lists) {
    if (!hooks->empty()) to[name] = hook_list(*hooks);
  }
  return to;
}

// A path below /proc/sys as sysctl(8) names it: '.' separates and '/' is a dot.
std::map<std::string, std::string> sysctl_names(const std::map<std::string, std::string>& sysctl) {
  std::map<std::string, std::string> names;
  for (const auto& [key, value] : sysctl) {
    std::string name = key;
    if (name.find('/') != std::string::npos) {
      for (char& c : name) {
        if (c == '/' || c == '.') c = c == '/' ? '.' : '/';
      }
    }
    names[name] = value;
  }
  return names;
}

Result<Json> linux_json(const Linux& from, const BundlePaths& paths) {
  Json to = Json::object();
  TRY(to["namespaces"], namespaces_json(from.namespaces, paths));
  if (!from.devices.empty()) to["devices"] = devices_json(from.devices);
  set_if(to, "cgroupsPath", from.cgroups_path);
  to["resources"] = resources_json(from.resources);
  set_if(to, "sysctl", sysctl_names(from.sysctl));
  if (from.seccomp != nullptr) to["seccomp"] = seccomp_json(*from.seccomp);
  set_if(to, "maskedPaths", from.masked_paths);
  set_if(to, "readonlyPaths", from.readonly_paths);
  return to;
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    std::uint32_t code = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0U) != 0x80) return false;
      code = code << 6 | (next & 0x3fU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += length;
  }
  return true;
}

// The first string or name below `json` that is not UTF-8, as "process.env[3]".
std::optional<std::string> not_utf8(const Json& json, const std::string& path) {
  if (json.is_string()) {
    if (is_utf8(json.get_ref<const std::string&>())) return std::nullopt;
    return path;
  }
  if (!json.is_structured()) return std::nullopt;
  std::size_t index = 0;
  for (auto at = json.begin(); at != json.end(); ++at, ++index) {
    const bool is_member = json.is_object();
    if (is_member && !is_utf8(at.key())) return path;
    const std::string below = is_member ? (path.empty() ? at.key() : path + "." + at.key())
                                        : path + "[" + std::to_string(index) + "]";
    std::optional<std::string> found = not_utf8(*at, below);
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> config_json(const Spec& spec, const BundlePaths& paths) {
  Json to = {{"ociVersion", "1.2.0"}};
  TRY(to["process"], process_json(spec.process));
  to["root"] = {{"path", paths.rootfs}, {"readonly", spec.root.readonly}};
  set_if(to, "hostname", spec.hostname);
  TRY(to["mounts"], mounts_json(spec.mounts, paths));
  Json hooks = hooks_json(spec.hooks);
  if (!hooks.empty()) to["hooks"] = std::move(hooks);
  set_if(to, "annotations", spec.annotations);
  TRY(to["linux"], linux_json(spec.linux, paths));
  const std::optional<std::string> damaged = not_utf8(to, "");
  if (damaged) {
    return make_error(Errc::invalid_argument,
                      *damaged + " is not UTF-8: a config.json cannot hold it");
  }
  return to.dump(2);
}

}  // namespace berth::oci
