// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/pod_config.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/base/check.h"

namespace berth::cli {

namespace {

constexpr const char* kNamespace = "default";
constexpr std::int64_t kCpuPeriodMicroseconds = 100'000;
constexpr std::int64_t kCpuQuotaMinMicroseconds = 1'000;
constexpr std::int64_t kCpuSharesMin = 2;

// The paths that a kubelet sends for procMount Default.
constexpr std::array<const char*, 10> kMaskedPaths = {
    "/proc/asound",        "/proc/acpi",       "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",          "/sys/firmware"};
constexpr std::array<const char*, 5> kReadonlyPaths = {"/proc/bus", "/proc/fs", "/proc/irq",
                                                       "/proc/sys", "/proc/sysrq-trigger"};

void set_namespaces(cri::NamespaceOption* options, bool host_network) {
  options->set_network(host_network ? cri::NODE : cri::POD);
  options->set_pid(cri::CONTAINER);
  options->set_ipc(cri::POD);
}

void set_resources(const ContainerOptions& options, cri::LinuxContainerResources* resources) {
  resources->set_memory_limit_in_bytes(options.memory_bytes);
  resources->set_oom_score_adj(options.oom_score_adj);
  const std::int64_t shares_of = std::max(options.cpu_thousandths, options.cpu_request_thousandths);
  if (shares_of > 0) {
    resources->set_cpu_shares(std::max(kCpuSharesMin, shares_of * 1024 / 1000));
  }
  if (options.cpu_thousandths > 0) {
    resources->set_cpu_period(kCpuPeriodMicroseconds);
    resources->set_cpu_quota(std::max(kCpuQuotaMinMicroseconds,
                                      options.cpu_thousandths * kCpuPeriodMicroseconds / 1000));
  }
}

void set_user(const UserOption& user, cri::LinuxContainerSecurityContext* context) {
  if (!user.name.empty()) context->set_run_as_username(user.name);
  if (user.uid >= 0) context->mutable_run_as_user()->set_value(user.uid);
  if (user.gid >= 0) context->mutable_run_as_group()->set_value(user.gid);
}

void set_security(const ContainerOptions& options, const cri::PodSandboxConfig& pod,
                  cri::LinuxContainerSecurityContext* context) {
  const cri::LinuxSandboxSecurityContext& sandbox = pod.linux().security_context();
  *context->mutable_namespace_options() = sandbox.namespace_options();
  context->set_privileged(sandbox.privileged());
  context->set_readonly_rootfs(options.readonly_rootfs);
  set_user(options.user, context);
  if (sandbox.privileged()) {
    context->mutable_seccomp()->set_profile_type(cri::SecurityProfile::Unconfined);
    return;
  }
  context->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
  for (const char* path : kMaskedPaths) context->add_masked_paths(path);
  for (const char* path : kReadonlyPaths) context->add_readonly_paths(path);
}

}  // namespace

std::string log_directory_name(const cri::PodSandboxMetadata& metadata) {
  return metadata.namespace_() + "_" + metadata.name() + "_" + metadata.uid();
}

cri::PodSandboxConfig pod_config(const PodOptions& options) {
  cri::PodSandboxConfig config;
  cri::PodSandboxMetadata* metadata = config.mutable_metadata();
  metadata->set_name(options.name);
  metadata->set_uid(options.uid);
  metadata->set_namespace_(kNamespace);
  if (!options.host_network) config.set_hostname(options.name.substr(0, 63));
  config.set_log_directory(options.log_root + "/" + log_directory_name(*metadata));
  auto& labels = *config.mutable_labels();
  labels["io.kubernetes.pod.name"] = options.name;
  labels["io.kubernetes.pod.namespace"] = kNamespace;
  labels["io.kubernetes.pod.uid"] = options.uid;
  for (const std::string& label : options.extra_labels) labels[label] = "1";
  (*config.mutable_annotations())[kLogDirectoryAnnotation] = config.log_directory();
  cri::LinuxSandboxSecurityContext* context = config.mutable_linux()->mutable_security_context();
  set_namespaces(context->mutable_namespace_options(), options.host_network);
  context->set_privileged(options.privileged);
  context->mutable_seccomp()->set_profile_type(
      options.privileged ? cri::SecurityProfile::Unconfined : cri::SecurityProfile::RuntimeDefault);
  return config;
}

cri::ContainerConfig container_config(const ContainerOptions& options,
                                      const cri::PodSandboxConfig& pod) {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name(options.name);
  config.mutable_image()->set_image(options.image);
  config.mutable_image()->set_user_specified_image(options.image);
  for (const std::string& word : options.command) config.add_command(word);
  for (const std::string& word : options.args) config.add_args(word);
  for (const EnvironmentOption& variable : options.envs) {
    cri::KeyValue* env = config.add_envs();
    env->set_key(variable.key);
    env->set_value(variable.value);
  }
  for (const VolumeOption& volume : options.volumes) {
    cri::Mount* mount = config.add_mounts();
    mount->set_host_path(volume.host_path);
    mount->set_container_path(volume.container_path);
    mount->set_readonly(volume.readonly);
  }
  config.set_working_dir(options.working_dir);
  config.set_log_path(options.name + "/0.log");
  *config.mutable_labels() = pod.labels();
  (*config.mutable_labels())["io.kubernetes.container.name"] = options.name;
  set_resources(options, config.mutable_linux()->mutable_resources());
  set_security(options, pod, config.mutable_linux()->mutable_security_context());
  return config;
}

std::string random_uid() {
  std::array<unsigned char, 16> bytes{};
  // getrandom(2) returns up to 256 bytes completely.
  CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string uid;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uid += '-';
    uid += fmt::format("{:02x}", bytes[i]);
  }
  return uid;
}

}  // namespace berth::cli
