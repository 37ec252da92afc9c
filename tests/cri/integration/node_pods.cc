// SPDX-License-Identifier: Apache-2.0
// Pods and containers as the tests ask for them.
#include <charconv>
#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {

ContainerTweak device_at(const std::string& host_path, const std::string& container_path,
                         const std::string& permissions) {
  return [host_path, container_path, permissions](v1::ContainerConfig& config) {
    v1::Device* device = config.add_devices();
    device->set_host_path(host_path);
    device->set_container_path(container_path);
    device->set_permissions(permissions);
  };
}

v1::RunPodSandboxRequest Node::pod_request(const PodTweak& tweak) {
  v1::RunPodSandboxRequest request;
  v1::PodSandboxConfig& config = *request.mutable_config();
  const std::string name = "pod" + std::to_string(++serial_);
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("tests");
  config.mutable_metadata()->set_uid("uid-" + name);
  config.set_hostname(name);
  config.set_log_directory(dir("BERTH_LOGS") + "/pods/" + name);
  v1::NamespaceOption* namespaces =
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces->set_pid(v1::NamespaceMode::CONTAINER);
  if (tweak) tweak(config);
  return request;
}

v1::CreateContainerRequest Node::container_request(const std::string& pod,
                                                   const std::vector<std::string>& command,
                                                   const ContainerTweak& tweak) {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  v1::ContainerConfig& config = *request.mutable_config();
  const std::string name = "c" + std::to_string(++serial_);
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image(kBusybox);
  for (const std::string& word : command) config.add_command(word);
  config.set_log_path(name + "/0.log");
  v1::LinuxContainerSecurityContext* security = config.mutable_linux()->mutable_security_context();
  security->mutable_namespace_options()->set_pid(v1::NamespaceMode::CONTAINER);
  security->mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  if (tweak) tweak(config);
  return request;
}

std::string Node::run_pod(const PodTweak& tweak) {
  const auto answer = call(&Runtime::RunPodSandbox, pod_request(tweak));
  EXPECT_TRUE(answer.ok()) << "RunPodSandbox: " << answer.text();
  return answer.value.pod_sandbox_id();
}

std::string Node::create(const std::string& pod, const std::vector<std::string>& command,
                         const ContainerTweak& tweak) {
  const auto answer = call(&Runtime::CreateContainer, container_request(pod, command, tweak));
  EXPECT_TRUE(answer.ok()) << "CreateContainer: " << answer.text();
  return answer.value.container_id();
}

std::string Node::start(const std::string& pod, const std::vector<std::string>& command,
                        const ContainerTweak& tweak) {
  const std::string id = create(pod, command, tweak);
  if (id.empty()) return "";
  const auto answer = try_start(id);
  EXPECT_TRUE(answer.ok()) << "StartContainer: " << answer.text();
  return answer.ok() ? id : "";
}

std::string Node::start_script(const std::string& pod, const std::string& script,
                               const ContainerTweak& tweak) {
  return start(pod, {"sh", "-c", script}, tweak);
}

std::string Node::printed(const std::string& pod, const std::string& script,
                          const ContainerTweak& tweak) {
  const std::string id = start_script(pod, script, tweak);
  if (id.empty()) return "";
  const v1::ContainerStatus ended = wait_exited(id);
  EXPECT_EQ(ended.exit_code(), 0) << script << "\n" << ended.message() << stdout_of(id);
  return stdout_of(id);
}

Answer<v1::StartContainerResponse> Node::try_start(const std::string& container) {
  v1::StartContainerRequest request;
  request.set_container_id(container);
  return call(&Runtime::StartContainer, request);
}

Answer<v1::StopContainerResponse> Node::stop(const std::string& container, int timeout) {
  v1::StopContainerRequest request;
  request.set_container_id(container);
  request.set_timeout(timeout);
  return call(&Runtime::StopContainer, request);
}

Answer<v1::RemoveContainerResponse> Node::remove(const std::string& container) {
  v1::RemoveContainerRequest request;
  request.set_container_id(container);
  return call(&Runtime::RemoveContainer, request);
}

Answer<v1::StopPodSandboxResponse> Node::stop_pod(const std::string& pod) {
  v1::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  return call(&Runtime::StopPodSandbox, request);
}

Answer<v1::RemovePodSandboxResponse> Node::remove_pod(const std::string& pod) {
  v1::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  return call(&Runtime::RemovePodSandbox, request);
}

Answer<v1::ExecSyncResponse> Node::exec(const std::string& container, const std::string& script,
                                        int timeout, double seconds_max) {
  v1::ExecSyncRequest request;
  request.set_container_id(container);
  for (const char* word : {"sh", "-c"}) request.add_cmd(word);
  request.add_cmd(script);
  request.set_timeout(timeout);
  return call(&Runtime::ExecSync, request, seconds_max);
}

v1::ContainerStatus Node::status(const std::string& container) {
  v1::ContainerStatusRequest request;
  request.set_container_id(container);
  const auto answer = call(&Runtime::ContainerStatus, request);
  EXPECT_TRUE(answer.ok()) << "ContainerStatus: " << answer.text();
  return answer.value.status();
}

v1::PodSandboxStatus Node::pod_status(const std::string& pod) {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  const auto answer = call(&Runtime::PodSandboxStatus, request);
  EXPECT_TRUE(answer.ok()) << "PodSandboxStatus: " << answer.text();
  return answer.value.status();
}

pid_t Node::pid_of(const std::string& container) {
  v1::ContainerStatusRequest request;
  request.set_container_id(container);
  request.set_verbose(true);
  const auto answer = call(&Runtime::ContainerStatus, request);
  EXPECT_TRUE(answer.ok()) << answer.text();
  const auto found = answer.value.info().find("pid");
  pid_t pid = -1;
  if (found == answer.value.info().end()) return pid;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

v1::ContainerStatus Node::wait_exited(const std::string& container, double seconds_max) {
  v1::ContainerStatus last;
  const bool ended = wait_until(
      [&]() {
        last = status(container);
        return last.state() == v1::ContainerState::CONTAINER_EXITED || last.id().empty();
      },
      seconds_max);
  EXPECT_TRUE(ended) << "container " << container << " does not end";
  return last;
}

std::vector<LogLine> Node::log_of(const std::string& container) {
  std::istringstream log(read_file(status(container).log_path()));
  std::vector<LogLine> lines;
  std::string text;
  while (std::getline(log, text)) {
    // "<time> <stream> <tag> <text>"; the text may hold anything but a newline.
    const std::size_t stream = text.find(' ') + 1;
    const std::size_t tag = text.find(' ', stream) + 1;
    const std::size_t rest = text.find(' ', tag) + 1;
    LogLine line{text.substr(0, stream - 1), text.substr(stream, tag - stream - 1),
                 text.substr(tag, rest - tag - 1), text.substr(rest)};
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string Node::stdout_of(const std::string& container) {
  std::string text;
  for (const LogLine& line : log_of(container)) {
    if (line.stream != "stdout") continue;
    text += line.text;
    if (line.tag == "F") text += '\n';
  }
  return text;
}

void Node::remove_all_pods() {
  const auto pods = call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest());
  EXPECT_TRUE(pods.ok()) << pods.text();
  for (const v1::PodSandbox& pod : pods.value.items()) {
    const auto stopped = stop_pod(pod.id());
    EXPECT_TRUE(stopped.ok()) << "StopPodSandbox: " << stopped.text();
    const auto removed = remove_pod(pod.id());
    EXPECT_TRUE(removed.ok()) << "RemovePodSandbox: " << removed.text();
  }
}

}  // namespace berth::node_test
