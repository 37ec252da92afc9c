// SPDX-License-Identifier: Apache-2.0
#include "cri/state/spec_record.h"

#include <utility>

namespace berth::cri::records {

namespace {

namespace stored = state::v1;

template <typename List>
void store_strings(const std::vector<std::string>& from, List* to) {
  to->Assign(from.begin(), from.end());
}
template <typename List>
std::vector<std::string> strings(const List& from) {
  return {from.begin(), from.end()};
}

stored::SpecProcess stored_process(const oci::Process& from) {
  stored::SpecProcess to;
  to.set_terminal(from.terminal);
  to.mutable_user()->set_uid(from.user.uid);
  to.mutable_user()->set_gid(from.user.gid);
  for (const gid_t gid : from.user.additional_gids) to.mutable_user()->add_additional_gids(gid);
  if (from.user.umask) to.mutable_user()->set_umask(*from.user.umask);
  store_strings(from.args, to.mutable_args());
  store_strings(from.env, to.mutable_env());
  to.set_cwd(from.cwd);
  stored::SpecCapabilities& capabilities = *to.mutable_capabilities();
  capabilities.set_bounding(from.capabilities.bounding);
  capabilities.set_effective(from.capabilities.effective);
  capabilities.set_inheritable(from.capabilities.inheritable);
  capabilities.set_permitted(from.capabilities.permitted);
  capabilities.set_ambient(from.capabilities.ambient);
  for (const oci::Rlimit& limit : from.rlimits) {
    stored::SpecRlimit& rlimit = *to.add_rlimits();
    rlimit.set_type(limit.type);
    rlimit.set_soft(limit.soft);
    rlimit.set_hard(limit.hard);
  }
  to.set_no_new_privileges(from.no_new_privileges);
  to.set_apparmor_profile(from.apparmor_profile);
  to.set_selinux_label(from.selinux_label);
  if (from.oom_score_adj) to.set_oom_score_adj(*from.oom_score_adj);
  return to;
}

template <typename List>
void store_hooks(const std::vector<oci::Hook>& from, List* to) {
  for (const oci::Hook& hook : from) {
    stored::SpecHook& made = *to->Add();
    made.set_path(hook.path);
    store_strings(hook.args, made.mutable_args());
    store_strings(hook.env, made.mutable_env());
    if (hook.timeout) made.set_timeout(*hook.timeout);
  }
}

template <typename List>
std::vector<oci::Hook> hooks(const List& from) {
  std::vector<oci::Hook> list;
  for (const stored::SpecHook& hook : from) {
    oci::Hook made{hook.path(), strings(hook.args()), strings(hook.env())};
    if (hook.has_timeout()) made.timeout = hook.timeout();
    list.push_back(std::move(made));
  }
  return list;
}

void store_hook_lists(const oci::Hooks& from, stored::Spec& to) {
  if (from.prestart.empty() && from.create_runtime.empty() && from.create_container.empty() &&
      from.start_container.empty() && from.poststart.empty() && from.poststop.empty()) {
    return;
  }
  stored::SpecHooks& lists = *to.mutable_hooks();
  store_hooks(from.prestart, lists.mutable_prestart());
  store_hooks(from.create_runtime, lists.mutable_create_runtime());
  store_hooks(from.create_container, lists.mutable_create_container());
  store_hooks(from.start_container, lists.mutable_start_container());
  store_hooks(from.poststart, lists.mutable_poststart());
  store_hooks(from.poststop, lists.mutable_poststop());
}

oci::Hooks hook_lists(const stored::SpecHooks& from) {
  return {hooks(from.prestart()),         hooks(from.create_runtime()),
          hooks(from.create_container()), hooks(from.start_container()),
          hooks(from.poststart()),        hooks(from.poststop())};
}

void store_devices(const oci::Linux& from, stored::Spec& to) {
  for (const oci::Device& device : from.devices) {
    stored::SpecDevice& made = *to.add_devices();
    made.set_path(device.path);
    made.set_mode(device.mode);
    made.set_major(device.major);
    made.set_minor(device.minor);
    made.set_uid(device.uid);
    made.set_gid(device.gid);
  }
  for (const oci::DeviceRule& rule : from.resources.devices) {
    stored::SpecDeviceRule& made = *to.mutable_resources()->add_devices();
    made.set_allow(rule.allow);
    made.set_type(static_cast<std::uint32_t>(rule.type));
    if (rule.major) made.set_major(*rule.major);
    if (rule.minor) made.set_minor(*rule.minor);
    made.set_access(rule.access);
  }
}

void load_devices(const stored::Spec& from, oci::Linux& to) {
  for (const stored::SpecDevice& device : from.devices()) {
    to.devices.push_back(
        {device.path(), device.mode(), device.major(), device.minor(), device.uid(), device.gid()});
  }
  for (const stored::SpecDeviceRule& rule : from.resources().devices()) {
    oci::DeviceRule made{.allow = rule.allow(), .type = static_cast<char>(rule.type())};
    if (rule.has_major()) made.major = rule.major();
    if (rule.has_minor()) made.minor = rule.minor();
    made.access = rule.access();
    to.resources.devices.push_back(std::move(made));
  }
}

void store_limits(const oci::Resources& from, stored::SpecResources& to) {
  if (from.memory.limit) to.set_memory_limit(*from.memory.limit);
  if (from.memory.swap) to.set_memory_swap(*from.memory.swap);
  if (from.cpu.shares) to.set_cpu_shares(*from.cpu.shares);
  if (from.cpu.quota) to.set_cpu_quota(*from.cpu.quota);
  if (from.cpu.period) to.set_cpu_period(*from.cpu.period);
  to.set_cpus(from.cpu.cpus);
  to.set_mems(from.cpu.mems);
  if (from.pids_limit) to.set_pids_limit(*from.pids_limit);
  for (const oci::HugepageLimit& limit : from.hugepage_limits) {
    stored::SpecHugepageLimit& made = *to.add_hugepage_limits();
    made.set_page_size(limit.page_size);
    made.set_limit(limit.limit);
  }
  to.mutable_unified()->insert(from.unified.begin(), from.unified.end());
}

void load_limits(const stored::SpecResources& from, oci::Resources& to) {
  if (from.has_memory_limit()) to.memory.limit = from.memory_limit();
  if (from.has_memory_swap()) to.memory.swap = from.memory_swap();
  if (from.has_cpu_shares()) to.cpu.shares = from.cpu_shares();
  if (from.has_cpu_quota()) to.cpu.quota = from.cpu_quota();
  if (from.has_cpu_period()) to.cpu.period = from.cpu_period();
  to.cpu.cpus = from.cpus();
  to.cpu.mems = from.mems();
  if (from.has_pids_limit()) to.pids_limit = from.pids_limit();
  for (const stored::SpecHugepageLimit& limit : from.hugepage_limits()) {
    to.hugepage_limits.push_back({limit.page_size(), limit.limit()});
  }
  to.unified = {from.unified().begin(), from.unified().end()};
}

stored::SeccompSyscall stored_rule(const oci::SeccompSyscall& from) {
  stored::SeccompSyscall to;
  store_strings(from.names, to.mutable_names());
  to.set_action(from.action);
  if (from.errno_ret) to.set_errno_ret(*from.errno_ret);
  for (const oci::SeccompArg& arg : from.args) {
    stored::SeccompArg& made = *to.add_args();
    made.set_index(arg.index);
    made.set_value(arg.value);
    made.set_value_two(arg.value_two);
    made.set_op(arg.op);
    made.set_is_int(arg.is_int);
  }
  return to;
}

oci::SeccompSyscall loaded_rule(const stored::SeccompSyscall& from) {
  oci::SeccompSyscall to{strings(from.names()), from.action()};
  if (from.has_errno_ret()) to.errno_ret = from.errno_ret();
  for (const stored::SeccompArg& arg : from.args()) {
    to.args.push_back({arg.index(), arg.value(), arg.value_two(), arg.op(), arg.is_int()});
  }
  return to;
}

}  // namespace

state::v1::Spec stored_spec(const oci::Spec& spec) {
  stored::Spec to;
  *to.mutable_process() = stored_process(spec.process);
  to.set_root_readonly(spec.root.readonly);
  to.set_hostname(spec.hostname);
  for (const oci::Mount& mount : spec.mounts) {
    stored::SpecMount& made = *to.add_mounts();
    made.set_destination(mount.destination);
    made.set_type(mount.type);
    made.set_source(mount.source);
    store_strings(mount.options, made.mutable_options());
  }
  store_hook_lists(spec.hooks, to);
  to.mutable_annotations()->insert(spec.annotations.begin(), spec.annotations.end());
  for (const oci::Namespace& one : spec.linux.namespaces) {
    stored::SpecNamespace& made = *to.add_namespaces();
    made.set_type(static_cast<std::uint32_t>(one.type));
    made.set_path(one.path);
  }
  store_devices(spec.linux, to);
  to.set_cgroups_path(spec.linux.cgroups_path);
  store_limits(spec.linux.resources, *to.mutable_resources());
  to.mutable_sysctl()->insert(spec.linux.sysctl.begin(), spec.linux.sysctl.end());
  store_strings(spec.linux.masked_paths, to.mutable_masked_paths());
  store_strings(spec.linux.readonly_paths, to.mutable_readonly_paths());
  return to;
}

oci::Process loaded_process(const state::v1::SpecProcess& from) {
  oci::Process to;
  to.terminal = from.terminal();
  to.user.uid = from.user().uid();
  to.user.gid = from.user().gid();
  to.user.additional_gids.assign(from.user().additional_gids().begin(),
                                 from.user().additional_gids().end());
  if (from.user().has_umask()) to.user.umask = from.user().umask();
  to.args = strings(from.args());
  to.env = strings(from.env());
  to.cwd = from.cwd();
  const stored::SpecCapabilities& capabilities = from.capabilities();
  to.capabilities = {capabilities.bounding(), capabilities.effective(), capabilities.inheritable(),
                     capabilities.permitted(), capabilities.ambient()};
  for (const stored::SpecRlimit& limit : from.rlimits()) {
    to.rlimits.push_back({limit.type(), limit.soft(), limit.hard()});
  }
  to.no_new_privileges = from.no_new_privileges();
  to.apparmor_profile = from.apparmor_profile();
  to.selinux_label = from.selinux_label();
  if (from.has_oom_score_adj()) to.oom_score_adj = from.oom_score_adj();
  return to;
}

oci::Spec loaded_spec(const state::v1::Spec& from) {
  oci::Spec spec;
  spec.process = loaded_process(from.process());
  spec.root.readonly = from.root_readonly();
  spec.hostname = from.hostname();
  for (const stored::SpecMount& mount : from.mounts()) {
    spec.mounts.push_back(
        {mount.destination(), mount.type(), mount.source(), strings(mount.options())});
  }
  spec.hooks = hook_lists(from.hooks());
  spec.annotations = {from.annotations().begin(), from.annotations().end()};
  for (const stored::SpecNamespace& one : from.namespaces()) {
    spec.linux.namespaces.push_back({static_cast<oci::NamespaceType>(one.type()), one.path()});
  }
  load_devices(from, spec.linux);
  spec.linux.cgroups_path = from.cgroups_path();
  load_limits(from.resources(), spec.linux.resources);
  spec.linux.sysctl = {from.sysctl().begin(), from.sysctl().end()};
  spec.linux.masked_paths = strings(from.masked_paths());
  spec.linux.readonly_paths = strings(from.readonly_paths());
  return spec;
}

std::string stored_seccomp(const oci::Seccomp& profile) {
  stored::SeccompProfile to;
  to.set_default_action(profile.default_action);
  if (profile.default_errno_ret) to.set_default_errno_ret(*profile.default_errno_ret);
  store_strings(profile.architectures, to.mutable_architectures());
  store_strings(profile.flags, to.mutable_flags());
  for (const oci::SeccompSyscall& rule : profile.syscalls) *to.add_syscalls() = stored_rule(rule);
  to.set_newer_is_absent(profile.newer_is_absent);
  return to.SerializeAsString();
}

Result<oci::Seccomp> loaded_seccomp(const std::string& bytes) {
  stored::SeccompProfile from;
  if (!from.ParseFromString(bytes)) {
    return make_error(Errc::data_loss, "a stored seccomp profile cannot be parsed");
  }
  oci::Seccomp profile;
  profile.default_action = from.default_action();
  if (from.has_default_errno_ret()) profile.default_errno_ret = from.default_errno_ret();
  profile.architectures = strings(from.architectures());
  profile.flags = strings(from.flags());
  for (const stored::SeccompSyscall& rule : from.syscalls()) {
    profile.syscalls.push_back(loaded_rule(rule));
  }
  profile.newer_is_absent = from.newer_is_absent();
  return profile;
}

}  // namespace berth::cri::records
