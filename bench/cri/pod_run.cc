// SPDX-License-Identifier: Apache-2.0
#include "bench/cri/pod_run.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/units.h"
#include "cri/cli/pod_config.h"

namespace berth::bench {

namespace {

using cli::Client;
using cli::Runtime;

constexpr std::int64_t kMemoryBytes = 64 << 20;
constexpr std::int64_t kCpuThousandths = 100;
// The value that a kubelet sets for a burstable container with a small memory request.
constexpr std::int64_t kOomScoreAdj = 999;

cri::ContainerConfig bench_container(const Plan& plan, const cri::PodSandboxConfig& pod) {
  cli::ContainerOptions options;
  options.name = "main";
  options.image = plan.image;
  options.command = plan.command;
  options.envs = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  options.memory_bytes = kMemoryBytes;
  options.cpu_request_thousandths = kCpuThousandths;
  options.oom_score_adj = kOomScoreAdj;
  return cli::container_config(options, pod);
}

// Makes the calls for one pod and records the time of each.
class PodRun {
 public:
  PodRun(Client& client, const Plan& plan, const cri::PodSandboxConfig& pod)
      : client_(client), plan_(plan), pod_(pod) {}

  Status start(const cri::ContainerConfig& container) {
    const std::int64_t begin_ns = monotonic_now_ns();
    cri::RunPodSandboxRequest run;
    *run.mutable_config() = pod_;
    run.set_runtime_handler(plan_.runtime_handler);
    TRY(const auto sandbox, timed(Call::run_sandbox, &Runtime::Stub::RunPodSandbox, run));
    pod_id_ = sandbox.pod_sandbox_id();
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(pod_id_);
    *create.mutable_config() = container;
    *create.mutable_sandbox_config() = pod_;
    TRY(const auto created, timed(Call::create, &Runtime::Stub::CreateContainer, create));
    container_id_ = created.container_id();
    cri::StartContainerRequest start;
    start.set_container_id(container_id_);
    TRY_(timed(Call::start, &Runtime::Stub::StartContainer, start));
    times_.start_ns = monotonic_now_ns() - begin_ns;
    return {};
  }

  Status check_running() {
    TRY(const cri::ContainerStatus status, container_status());
    if (status.state() == cri::CONTAINER_RUNNING) return {};
    return unexpected(status, "does not run after StartContainer");
  }

  Status end() {
    cri::StopContainerRequest stop;
    stop.set_container_id(container_id_);
    stop.set_timeout(plan_.grace_s);
    TRY_(timed(Call::stop, &Runtime::Stub::StopContainer, stop));
    TRY_(check_stopped());
    cri::StopPodSandboxRequest stop_sandbox;
    stop_sandbox.set_pod_sandbox_id(pod_id_);
    TRY_(timed(Call::stop_sandbox, &Runtime::Stub::StopPodSandbox, stop_sandbox));
    cri::RemoveContainerRequest remove;
    remove.set_container_id(container_id_);
    TRY_(timed(Call::remove, &Runtime::Stub::RemoveContainer, remove));
    cri::RemovePodSandboxRequest remove_sandbox;
    remove_sandbox.set_pod_sandbox_id(pod_id_);
    TRY_(timed(Call::remove_sandbox, &Runtime::Stub::RemovePodSandbox, remove_sandbox));
    times_.lifecycle_ns = times_.start_ns;
    for (std::size_t i = static_cast<std::size_t>(Call::stop); i < kCalls; ++i) {
      times_.lifecycle_ns += times_.call_ns[i];
    }
    return {};
  }

  const PodTimes& times() const { return times_; }

 private:
  Result<cri::ContainerStatus> container_status() {
    cri::ContainerStatusRequest request;
    request.set_container_id(container_id_);
    TRY(const auto response, client_.call(&Runtime::Stub::ContainerStatus, request));
    return response.status();
  }

  Error unexpected(const cri::ContainerStatus& status, const char* what) const {
    return make_error(Errc::failed_precondition,
                      "container " + container_id_ + " " + what + ": " +
                          cri::ContainerState_Name(status.state()) + ", exit code " +
                          std::to_string(status.exit_code()) + ", reason " + status.reason());
  }

  // A runtime may report RUNNING for a while after the command has ended by itself. The exit code
  // shows whether a signal ended it. With a grace period, the command may set its own exit code.
  Status check_stopped() {
    constexpr int kSignalled = 128;
    TRY(const cri::ContainerStatus status, container_status());
    if (status.state() != cri::CONTAINER_EXITED) {
      return unexpected(status, "runs after StopContainer");
    }
    if (plan_.grace_s == 0 && status.exit_code() < kSignalled) {
      return unexpected(status, "had ended before it was stopped");
    }
    return {};
  }

  template <typename Request, typename Response>
  Result<Response> timed(Call call,
                         grpc::Status (Runtime::Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                         const Request& request) {
    const auto at = static_cast<std::size_t>(call);
    const std::int64_t begin_ns = monotonic_now_ns();
    Result<Response> response = client_.call(method, request);
    times_.call_ns[at] = monotonic_now_ns() - begin_ns;
    if (!response.ok()) return std::move(response).error().with(kCallNames[at]);
    return response;
  }

  Client& client_;
  const Plan& plan_;
  const cri::PodSandboxConfig& pod_;
  std::string pod_id_;
  std::string container_id_;
  PodTimes times_;
};

}  // namespace

cri::PodSandboxConfig bench_pod(const Plan& plan, int number) {
  cli::PodOptions options;
  options.name = "bench-" + std::to_string(number);
  // Not derived from the seed, so that pods left by an earlier run do not conflict.
  options.uid = cli::random_uid();
  options.log_root = plan.log_root;
  options.host_network = plan.network == "host";
  options.extra_labels = {kBenchLabel, cli::kMadeByRunLabel};
  cri::PodSandboxConfig pod = cli::pod_config(options);
  pod.mutable_dns_config()->add_servers("10.96.0.10");
  pod.mutable_dns_config()->add_searches("default.svc.cluster.local");
  pod.mutable_dns_config()->add_options("ndots:5");
  pod.mutable_linux()->set_cgroup_parent(plan.cgroup_parent);
  return pod;
}

Result<PodTimes> run_pod(cli::Client& client, const Plan& plan, const cri::PodSandboxConfig& pod) {
  const cri::ContainerConfig container = bench_container(plan, pod);
  // The log directory is made and removed by the kubelet, so its time is not measured.
  std::error_code error;
  std::filesystem::create_directories(pod.log_directory() + "/" + container.metadata().name(),
                                      error);
  if (error) return sys_error(error.value(), "mkdir", pod.log_directory());
  PodRun run(client, plan, pod);
  TRY_(run.start(container));
  TRY_(run.check_running());
  if (plan.keep) return run.times();
  TRY_(run.end());
  std::filesystem::remove_all(pod.log_directory(), error);
  return run.times();
}

}  // namespace berth::bench
