// SPDX-License-Identifier: Apache-2.0
// berth run: runs one pod with one container, with the options of docker run.
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/follow_exit.h"
#include "cri/cli/pod_config.h"
#include "cri/cli/run_options.h"
#include "cri/cli/teardown.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct RunOptions {
  std::string image;
  std::vector<std::string> args;
  std::string name;
  std::string network = "pod";
  std::string user;
  std::string working_dir;
  std::string memory;
  std::string cpus;
  std::string entrypoint;
  std::string runtime_handler;
  std::string log_root = "/var/log/berth/pods";
  std::vector<std::string> volumes;
  std::vector<std::string> envs;
  bool detach = false;
  bool remove = false;
  bool readonly_rootfs = false;
  bool privileged = false;
};

struct Running {
  std::string pod_id;
  std::string container_id;
  std::string log_path;
};

Result<ContainerOptions> container_options(const RunOptions& options, const std::string& name) {
  ContainerOptions container;
  container.name = name;
  container.image = options.image;
  if (!options.entrypoint.empty()) container.command.push_back(options.entrypoint);
  container.args = options.args;
  container.working_dir = options.working_dir;
  container.readonly_rootfs = options.readonly_rootfs;
  for (const std::string& text : options.envs) {
    TRY(EnvironmentOption variable, parse_environment(text));
    container.envs.push_back(std::move(variable));
  }
  for (const std::string& text : options.volumes) {
    TRY(VolumeOption volume, parse_volume(text));
    container.volumes.push_back(std::move(volume));
  }
  if (!options.user.empty()) {
    TRY(container.user, parse_user(options.user));
  }
  if (!options.memory.empty()) {
    TRY(container.memory_bytes, parse_memory(options.memory));
  }
  if (!options.cpus.empty()) {
    TRY(container.cpu_thousandths, parse_cpus(options.cpus));
  }
  return container;
}

Status pull_if_absent(const Session& session, Client& client, const std::string& image,
                      const StopSignals& signals) {
  cri::ImageStatusRequest status;
  status.mutable_image()->set_image(image);
  TRY(const auto present, client.call(&Images::Stub::ImageStatus, status));
  if (present.has_image()) return {};
  std::fprintf(stderr, "berth: run: pulling %s\n", image.c_str());
  const EndOnSignal end_on_signal(signals);
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(image);
  TRY_(client.call(&Images::Stub::PullImage, pull, session.long_call_timeout()));
  return {};
}

// A kubelet makes the log directories itself, and some runtimes rely on it. An error is ignored:
// the runtime may be able to make the directory, and reports an error if it is not.
void make_log_directory(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(path, ignored);
}

Result<Running> start_container(Client& client, const std::string& pod_id,
                                const cri::PodSandboxConfig& pod,
                                const cri::ContainerConfig& container) {
  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(pod_id);
  *create.mutable_config() = container;
  *create.mutable_sandbox_config() = pod;
  TRY(const auto created, client.call(&Runtime::Stub::CreateContainer, create));
  cri::StartContainerRequest start;
  start.set_container_id(created.container_id());
  TRY_(client.call(&Runtime::Stub::StartContainer, start));
  return Running{pod_id, created.container_id(), pod.log_directory() + "/" + container.log_path()};
}

Result<Running> start_pod(Client& client, const RunOptions& options,
                          const cri::PodSandboxConfig& pod, const cri::ContainerConfig& container) {
  make_log_directory(pod.log_directory() + "/" + container.metadata().name());
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = pod;
  request.set_runtime_handler(options.runtime_handler);
  TRY(const auto sandbox, client.call(&Runtime::Stub::RunPodSandbox, request));
  Result<Running> running = start_container(client, sandbox.pod_sandbox_id(), pod, container);
  if (!running.ok()) {
    // The first error is reported. A pod that cannot be removed is still listed by `berth pods`.
    (void)stop_sandbox(client, sandbox.pod_sandbox_id());
    (void)remove_sandbox(client, sandbox.pod_sandbox_id());
  }
  return running;
}

int exit_code_of(const cri::ContainerStatus& status) {
  if (status.exit_code() == 0 && status.state() != cri::CONTAINER_EXITED) return 1;
  return status.exit_code();
}

Result<int> attach_log(Client& client, const RunOptions& options, const Running& running,
                       StopSignals& signals) {
  StandardSink sink;
  TRY(LogFollow log, LogFollow::open(running.log_path, sink, false));
  TRY(const cri::ContainerStatus status,
      follow_until_exit(client, running.container_id, log, &signals));
  // The sandbox is stopped, because with docker, too, an exited container has no network.
  TRY_(stop_sandbox(client, running.pod_id));
  if (options.remove) TRY_(remove_sandbox(client, running.pod_id));
  return exit_code_of(status);
}

Result<int> run(const Session& session, const RunOptions& options) {
  if (options.detach && options.remove) {
    return make_error(Errc::invalid_argument, "--rm needs someone who waits: not with -d");
  }
  TRY(StopSignals signals, StopSignals::block());
  PodOptions pod_options;
  pod_options.uid = random_uid();
  pod_options.name = options.name.empty() ? "run-" + pod_options.uid.substr(0, 8) : options.name;
  pod_options.log_root = options.log_root;
  pod_options.host_network = options.network == "host";
  pod_options.privileged = options.privileged;
  pod_options.extra_labels = {kMadeByRunLabel};
  TRY(const ContainerOptions container, container_options(options, pod_options.name));
  const cri::PodSandboxConfig pod = pod_config(pod_options);

  Client client = session.connect();
  TRY_(pull_if_absent(session, client, options.image, signals));
  TRY(const Running running, start_pod(client, options, pod, container_config(container, pod)));
  if (options.detach) {
    print(running.container_id + "\n");
    return 0;
  }
  return attach_log(client, options, running, signals);
}

void add_limits(CLI::App* command, RunOptions& options) {
  command->add_option("--memory,-m", options.memory, "limit, such as 64m");
  command->add_option("--cpus", options.cpus, "limit, such as 0.5");
  command->add_flag("--read-only", options.readonly_rootfs, "root filesystem read-only");
  command->add_flag("--privileged", options.privileged, "all capabilities and devices");
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "run", "Run a pod with one container");
  auto options = std::make_shared<RunOptions>();
  command->add_flag("-d,--detach", options->detach,
                    "print the container's id and leave it running");
  command->add_flag("--rm", options->remove, "remove the pod after the container has exited");
  command->add_option("--name", options->name, "of the pod and of the container");
  command->add_option("--network", options->network, "pod or host")
      ->check(CLI::IsMember({"pod", "host"}));
  command->add_option("-v,--volume", options->volumes, "HOST:CONTAINER[:ro]")
      ->allow_extra_args(false);
  command->add_option("-e,--env", options->envs, "KEY=VALUE")->allow_extra_args(false);
  command->add_option("-u,--user", options->user, "NAME, UID or UID:GID");
  command->add_option("-w,--workdir", options->working_dir, "working directory");
  command->add_option("--entrypoint", options->entrypoint, "instead of the image's");
  command->add_option("--runtime-handler", options->runtime_handler, "by its CRI name");
  command->add_option("--log-dir", options->log_root, "pods' log directories are made here")
      ->capture_default_str();
  add_limits(command, *options);
  command->add_option("IMAGE", options->image, "pulled if absent")->required();
  command->prefix_command();
  command->footer("All after IMAGE is the command, with its options.");
  on_run(command, session, [command, &session, options] {
    options->args = command_words(command, session);
    return run(session, *options);
  });
}

}  // namespace berth::cli
