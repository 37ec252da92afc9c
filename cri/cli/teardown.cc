// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/teardown.h"

#include <filesystem>
#include <system_error>

#include "cri/cli/pod_config.h"

namespace berth::cli {

namespace {

// The time that a stop may take in addition to its grace period.
constexpr std::chrono::seconds kStopMargin{60};

// The log directory that `berth run` made for this pod; empty for any other pod. Annotations are
// not trusted: the last component must be the name that `berth run` would have chosen.
std::string run_log_directory(Client& client, const std::string& pod_id) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod_id);
  const auto response = client.call(&Runtime::Stub::PodSandboxStatus, request);
  if (!response.ok()) return "";
  const cri::PodSandboxStatus& status = response.value().status();
  if (status.labels().count(kMadeByRunLabel) == 0) return "";
  const auto annotation = status.annotations().find(kLogDirectoryAnnotation);
  if (annotation == status.annotations().end()) return "";
  const std::filesystem::path path(annotation->second);
  return path.filename() == log_directory_name(status.metadata()) ? path.string() : "";
}

}  // namespace

Status stop_container(Client& client, const std::string& container_id, std::int64_t grace_s) {
  cri::StopContainerRequest request;
  request.set_container_id(container_id);
  request.set_timeout(grace_s);
  TRY_(client.call(&Runtime::Stub::StopContainer, request,
                   std::chrono::seconds(grace_s) + kStopMargin));
  return {};
}

Status remove_container(Client& client, const std::string& container_id) {
  cri::RemoveContainerRequest request;
  request.set_container_id(container_id);
  TRY_(client.call(&Runtime::Stub::RemoveContainer, request));
  return {};
}

Status stop_sandbox(Client& client, const std::string& pod_id) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod_id);
  TRY_(client.call(&Runtime::Stub::StopPodSandbox, request));
  return {};
}

Status remove_sandbox(Client& client, const std::string& pod_id) {
  const std::string logs = run_log_directory(client, pod_id);
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod_id);
  TRY_(client.call(&Runtime::Stub::RemovePodSandbox, request));
  if (logs.empty()) return {};
  std::error_code error;
  std::filesystem::remove_all(logs, error);
  if (error) return sys_error(error.value(), "remove", logs);
  return {};
}

Status stop_target(Client& client, const Inventory& inventory, const Target& target,
                   std::int64_t grace_s) {
  if (target.kind == Kind::container) {
    TRY_(stop_container(client, target.id, grace_s));
    return target.made_by_run ? stop_sandbox(client, target.pod_id) : Status();
  }
  for (const Target& container : containers_of(inventory, target.id)) {
    if (container.running) TRY_(stop_container(client, container.id, grace_s));
  }
  return stop_sandbox(client, target.id);
}

Status remove_target(Client& client, const Inventory& inventory, const Target& target, bool force) {
  if (target.running && !force) {
    return make_error(Errc::failed_precondition,
                      "`" + target.name + "` is running; stop it first or say -f");
  }
  if (target.kind == Kind::container && !target.made_by_run) {
    if (target.running) TRY_(stop_container(client, target.id, 0));
    return remove_container(client, target.id);
  }
  for (const Target& container : containers_of(inventory, target.pod_id)) {
    if (container.running) TRY_(stop_container(client, container.id, 0));
    TRY_(remove_container(client, container.id));
  }
  TRY_(stop_sandbox(client, target.pod_id));
  return remove_sandbox(client, target.pod_id);
}

}  // namespace berth::cli
