// SPDX-License-Identifier: Apache-2.0
#include "core/container/launch.h"

#include <string.h>

#include <span>
#include <string_view>
#include <utility>

#include "core/linux/memfd.h"

namespace berth::container {
namespace {

Error invalid(std::string sentence) {
  return make_error(Errc::invalid_argument, std::move(sentence));
}

// Appends to one buffer and remembers the first thing that was wrong; finish() tells it.
class PlanWriter {
 public:
  explicit PlanWriter(PlanKind kind) : bytes_(sizeof(PlanHeader), '\0') { header_.kind = kind; }

  PlanHeader& header() { return header_; }
  void flag(PlanFlag flag, bool on) {
    if (on) header_.flags |= flag;
  }
  void reject(Error error) {
    if (!error_) error_ = std::move(error);
  }

  std::int32_t fd(int fd) {
    if (fd < 0) return -1;
    fds_.push_back(fd);
    return static_cast<std::int32_t>(fds_.size()) - 1;
  }

  PlanRef text(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
      reject(invalid("a NUL byte inside `" + std::string(text.substr(0, text.find('\0'))) + "`"));
    }
    if (bytes_.size() + text.size() > kPlanSizeMax) {
      reject(make_error(Errc::resource_exhausted, "the launch plan is larger than 4 MiB"));
      return {};
    }
    const PlanRef ref{static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(text.size())};
    bytes_ += text;
    bytes_ += '\0';
    return ref;
  }

  template <typename T>
  PlanRef array(std::span<const T> values, std::size_t count_max = kPlanEntriesMax) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8, '\0');
    const std::size_t size = values.size() * sizeof(T);
    if (values.size() > count_max || bytes_.size() + size > kPlanSizeMax) {
      reject(make_error(Errc::resource_exhausted, "the launch plan has too many entries"));
      return {};
    }
    const PlanRef ref{static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(values.size())};
    bytes_.append(reinterpret_cast<const char*>(values.data()), size);
    return ref;
  }
  template <typename T>
  PlanRef array(const std::vector<T>& values, std::size_t count_max = kPlanEntriesMax) {
    return array(std::span<const T>(values), count_max);
  }

  PlanRef texts(const std::vector<std::string>& values) {
    std::vector<PlanRef> refs;
    refs.reserve(values.size());
    for (const std::string& value : values) refs.push_back(text(value));
    return array(refs);
  }

  Result<EncodedPlan> finish() {
    if (fds_.size() > kPlanFdsMax) {
      reject(
          make_error(Errc::resource_exhausted, "the launch plan has more than 1,280 descriptors"));
    }
    if (bytes_.size() > kPlanSizeMax) {
      reject(make_error(Errc::resource_exhausted, "the launch plan is larger than 4 MiB"));
    }
    if (error_) return *std::move(error_);
    header_.size = static_cast<std::uint32_t>(bytes_.size());
    header_.fd_count = static_cast<std::uint32_t>(fds_.size());
    ::memcpy(bytes_.data(), &header_, sizeof header_);
    EncodedPlan plan;
    plan.size = bytes_.size();
    plan.fds = std::move(fds_);
    TRY(plan.memfd, sys::sealed_memfd("berth-plan", std::as_bytes(std::span(bytes_))));
    return plan;
  }

 private:
  PlanHeader header_;
  std::string bytes_;
  std::vector<int> fds_;
  std::optional<Error> error_;
};

void write_process(PlanWriter& writer, const oci::Process& process) {
  PlanHeader& header = writer.header();
  writer.flag(kPlanTerminal, process.terminal);
  writer.flag(kPlanNoNewPrivileges, process.no_new_privileges);
  writer.flag(kPlanHasUmask, process.user.umask.has_value());
  writer.flag(kPlanHasOomScoreAdj, process.oom_score_adj.has_value());
  if (process.args.empty()) writer.reject(invalid("the process has no command"));
  if (process.cwd.empty() || process.cwd[0] != '/') {
    writer.reject(invalid("working directory `" + process.cwd + "` is not absolute"));
  }
  header.uid = process.user.uid;
  header.gid = process.user.gid;
  header.umask = process.user.umask.value_or(0);
  header.oom_score_adj = process.oom_score_adj.value_or(0);
  const oci::Capabilities& from = process.capabilities;
  header.capabilities = {from.bounding, from.effective, from.inheritable, from.permitted,
                         from.ambient};
  header.cwd = writer.text(process.cwd);
  header.args = writer.texts(process.args);
  header.env = writer.texts(process.env);
  const std::vector<std::uint32_t> groups(process.user.additional_gids.begin(),
                                          process.user.additional_gids.end());
  header.groups = writer.array(groups);
  std::vector<PlanRlimit> rlimits;
  for (const oci::Rlimit& limit : process.rlimits) {
    rlimits.push_back({static_cast<std::uint64_t>(limit.type), limit.soft, limit.hard});
  }
  header.rlimits = writer.array(rlimits);
}

// "mode=755,size=64k,newinstance": as mount(8) takes them.
PlanRef write_options(PlanWriter& writer, std::string_view data) {
  std::vector<PlanOption> options;
  while (!data.empty()) {
    const std::string_view option = data.substr(0, data.find(','));
    data.remove_prefix(option.size() == data.size() ? data.size() : option.size() + 1);
    if (option.empty()) continue;
    const std::size_t equals = option.find('=');
    const bool has_value = equals != std::string_view::npos;
    PlanOption entry;
    entry.key = writer.text(option.substr(0, equals));
    entry.value = writer.text(has_value ? option.substr(equals + 1) : std::string_view());
    entry.has_value = has_value ? 1 : 0;
    options.push_back(entry);
  }
  return writer.array(options);
}

PlanMount write_mount(PlanWriter& writer, const LaunchMount& from) {
  if (from.destination.empty() || from.destination[0] != '/') {
    writer.reject(invalid("mount destination `" + from.destination + "` is not absolute"));
  }
  if (from.source_fd < 0 && (from.type.empty() || from.type == "bind")) {
    writer.reject(invalid("mount `" + from.destination + "` has neither a source nor a type"));
  }
  PlanMount mount;
  mount.destination = writer.text(from.destination);
  mount.type = writer.text(from.type);
  mount.source = writer.text(from.source);
  mount.options = write_options(writer, from.data);
  mount.fd = writer.fd(from.source_fd);
  mount.destination_is_file = from.destination_is_file ? 1 : 0;
  mount.flags = from.flags;
  mount.recursive_flags = from.recursive_flags;
  // A clone of a shared host mount is a peer of it until its propagation is set.
  constexpr std::uint64_t kPrivate = 1U << 18;  // MS_PRIVATE
  mount.propagation = from.propagation == 0 && mount.fd >= 0 ? kPrivate : from.propagation;
  return mount;
}

void write_tree(PlanWriter& writer, const LaunchContainer& spec) {
  PlanHeader& header = writer.header();
  std::vector<PlanMount> mounts;
  for (const LaunchMount& mount : spec.mounts) mounts.push_back(write_mount(writer, mount));
  header.mounts = writer.array(mounts, kPlanMountsMax);
  std::vector<PlanDevice> devices;
  for (const oci::Device& device : spec.devices) {
    if (device.path.empty() || device.path[0] != '/' || device.path.back() == '/') {
      writer.reject(invalid("device path `" + device.path + "` is not absolute"));
    }
    devices.push_back({writer.text(device.path), device.mode, device.major, device.minor,
                       device.uid, device.gid});
  }
  header.devices = writer.array(devices);
  header.masked_paths = writer.texts(spec.masked_paths);
  header.readonly_paths = writer.texts(spec.readonly_paths);
  std::vector<PlanSysctl> sysctls;
  for (const auto& [path, value] : spec.sysctl) {
    sysctls.push_back({writer.text(path), writer.text(value)});
  }
  header.sysctls = writer.array(sysctls);
}

void write_namespace(PlanWriter& writer, PlanNamespaceIndex index, const LaunchNamespace& from) {
  PlanNamespace& to = writer.header().namespaces[index];
  to.mode = from.mode;
  if (from.mode != PlanNamespaceMode::join) return;
  to.fd = writer.fd(from.fd);
  if (to.fd < 0) writer.reject(invalid("a namespace to join without a descriptor"));
}

void write_placement(PlanWriter& writer, const LaunchFds& fds) {
  writer.header().cgroup_fd = writer.fd(fds.cgroup);
  std::vector<std::int32_t> tasks;
  for (const int fd : fds.v1_tasks) tasks.push_back(writer.fd(fd));
  writer.header().tasks = writer.array(tasks);
}

}  // namespace

Result<EncodedPlan> encode_container(const LaunchContainer& container, const LaunchFds& fds) {
  PlanWriter writer(PlanKind::container);
  const LaunchNamespaces& namespaces = container.namespaces;
  if (fds.rootfs < 0) writer.reject(invalid("a container without a root filesystem"));
  if (namespaces.mount.mode != PlanNamespaceMode::fresh) {
    writer.reject(invalid("a container needs a mount namespace of its own"));
  }
  writer.flag(kPlanRootReadonly, container.root_readonly);
  writer.header().rootfs_fd = writer.fd(fds.rootfs);
  write_process(writer, container.process);
  write_tree(writer, container);
  write_namespace(writer, kPlanPid, namespaces.pid);
  write_namespace(writer, kPlanMount, namespaces.mount);
  write_namespace(writer, kPlanIpc, namespaces.ipc);
  write_namespace(writer, kPlanUts, namespaces.uts);
  write_namespace(writer, kPlanNetwork, namespaces.network);
  write_namespace(writer, kPlanCgroup, namespaces.cgroup);
  write_placement(writer, fds);
  writer.header().seccomp = writer.array(container.seccomp);
  return writer.finish();
}

Result<EncodedPlan> encode_exec(const oci::Process& process, std::span<const std::uint64_t> seccomp,
                                const LaunchFds& fds) {
  PlanWriter writer(PlanKind::exec);
  if (fds.target < 0) writer.reject(invalid("an exec without a running container"));
  writer.header().target_fd = writer.fd(fds.target);
  write_process(writer, process);
  write_placement(writer, fds);
  writer.header().seccomp = writer.array(seccomp);
  return writer.finish();
}

Result<EncodedPlan> encode_pod_init(const LaunchNamespaces& namespaces, int oom_score_adj,
                                    const LaunchFds& fds) {
  PlanWriter writer(PlanKind::pod_init);
  PlanHeader& header = writer.header();
  header.namespaces[kPlanPid].mode = PlanNamespaceMode::fresh;
  header.namespaces[kPlanMount].mode = PlanNamespaceMode::fresh;
  // A container with CAP_SYS_ADMIN may join what its init is in: not the host's.
  header.namespaces[kPlanCgroup].mode = PlanNamespaceMode::fresh;
  write_namespace(writer, kPlanIpc, namespaces.ipc);
  write_namespace(writer, kPlanUts, namespaces.uts);
  write_namespace(writer, kPlanNetwork, namespaces.network);
  header.cwd = writer.text("/");
  writer.flag(kPlanHasOomScoreAdj, true);
  header.oom_score_adj = oom_score_adj;
  write_placement(writer, fds);
  return writer.finish();
}

}  // namespace berth::container
