// SPDX-License-Identifier: Apache-2.0
// A node for one test suite: berthd and its keeper as real processes in the node namespace that
// run-in-node.sh made, and a CRI client beside them. Every test starts with no pod and ends with
// none; what it left behind in the kernel or on disk makes it fail.
//
// The suite owns berthd. The keeper is a stranger's child, found by the pid that Status tells.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "cri/proto/services.grpc.pb.h"

namespace berth::node_test {

namespace v1 = ::runtime::v1;
using Runtime = v1::RuntimeService::Stub;
using Images = v1::ImageService::Stub;
using Seconds = std::chrono::duration<double>;

inline constexpr int kPidsLimit = 4321;  // of every container, by berthd's own option
inline constexpr const char* kBusybox = "127.0.0.1:5000/busybox:latest";

template <typename Response>
struct Answer {
  grpc::Status status;
  Response value;
  double seconds = 0;

  bool ok() const { return status.ok(); }
  grpc::StatusCode code() const { return status.error_code(); }
  std::string text() const { return status.error_message(); }
};

// One connection of its own: after berthd was killed, a new one reconnects at once.
class Client {
 public:
  explicit Client(const std::string& endpoint);

  template <typename Stub, typename Request, typename Response>
  Answer<Response> call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        const Request& request, double seconds_max = 30) {
    grpc::ClientContext context;
    const auto begin = std::chrono::steady_clock::now();
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(static_cast<long>(seconds_max * 1000)));
    Answer<Response> answer;
    if constexpr (std::is_same_v<Stub, Runtime>) {
      answer.status = (runtime_.get()->*method)(&context, request, &answer.value);
    } else {
      answer.status = (images_.get()->*method)(&context, request, &answer.value);
    }
    answer.seconds = Seconds(std::chrono::steady_clock::now() - begin).count();
    return answer;
  }

  Runtime& runtime() { return *runtime_; }
  Images& images() { return *images_; }

 private:
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Images> images_;
};

// A program that ran to its end.
struct Ran {
  int exit_code = -1;
  std::string out;  // stdout and stderr
};

struct LogLine {
  std::string time;
  std::string stream;
  std::string tag;
  std::string text;
};

// What the node holds: comparable, with names a reader can look for.
using Holdings = std::multiset<std::string>;

using PodTweak = std::function<void(v1::PodSandboxConfig&)>;
using ContainerTweak = std::function<void(v1::ContainerConfig&)>;

// Gives the container what is at `host_path`, a device or a directory of devices.
ContainerTweak device_at(const std::string& host_path, const std::string& container_path,
                         const std::string& permissions = "rw");

class Node : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // berthd as a process. `start` waits until it answers and says false, with its log, when it does
  // not.
  static bool start_berthd();
  static void kill_berthd();      // SIGKILL, reaped
  static int terminate_berthd();  // SIGTERM, its wait status
  static pid_t berthd_pid() { return berthd_pid_; }
  static pid_t keeper_pid();
  static void kill_keeper();  // SIGKILL, and gone when this returns
  static std::vector<std::string> berthd_arguments();
  // What berthd is told of; not there unless a test writes it, which then removes it.
  static std::string registries_conf();
  static std::string cni_conf_dir();
  static std::string berthd_log();
  static std::string cli_program();  // `berth`
  static Ran shell(const std::string& command);
  static Ran berth(const std::string& words);  // the command line against this berthd
  static void connect();

  static std::string dir(const char* variable);  // of run-in-node.sh's environment
  static std::string endpoint();

  template <typename Stub, typename Request, typename Response>
  static Answer<Response> call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                            Response*),
                               const Request& request, double seconds_max = 30) {
    return client_->call(method, request, seconds_max);
  }
  static Client& client() { return *client_; }

  // Requests with everything a kubelet would set; names are new for each call.
  v1::RunPodSandboxRequest pod_request(const PodTweak& tweak = {});
  v1::CreateContainerRequest container_request(const std::string& pod,
                                               const std::vector<std::string>& command,
                                               const ContainerTweak& tweak = {});
  // These fail the test and give "" when the call fails.
  std::string run_pod(const PodTweak& tweak = {});
  std::string create(const std::string& pod, const std::vector<std::string>& command,
                     const ContainerTweak& tweak = {});
  std::string start(const std::string& pod, const std::vector<std::string>& command,
                    const ContainerTweak& tweak = {});
  std::string start_script(const std::string& pod, const std::string& script,
                           const ContainerTweak& tweak = {});
  // Runs a shell script to its end and gives what it printed to stdout.
  std::string printed(const std::string& pod, const std::string& script,
                      const ContainerTweak& tweak = {});

  static Answer<v1::StartContainerResponse> try_start(const std::string& container);
  static Answer<v1::StopContainerResponse> stop(const std::string& container, int timeout = 0);
  static Answer<v1::RemoveContainerResponse> remove(const std::string& container);
  static Answer<v1::StopPodSandboxResponse> stop_pod(const std::string& pod);
  static Answer<v1::RemovePodSandboxResponse> remove_pod(const std::string& pod);
  static Answer<v1::ExecSyncResponse> exec(const std::string& container, const std::string& script,
                                           int timeout = 0, double seconds_max = 30);
  static v1::ContainerStatus status(const std::string& container);
  static v1::PodSandboxStatus pod_status(const std::string& pod);
  static pid_t pid_of(const std::string& container);
  static v1::ContainerStatus wait_exited(const std::string& container, double seconds_max = 20);
  static std::vector<LogLine> log_of(const std::string& container);
  static std::string stdout_of(const std::string& container);
  static void remove_all_pods();

  static Holdings holdings();
  // Waits until the node holds what it held at the start of the suite, or of `remember_holdings`.
  static void remember_holdings();
  static std::string leftovers(double seconds_max = 30);

  static bool wait_until(const std::function<bool()>& done, double seconds_max);
  static std::string read_file(const std::string& path);

 private:
  static pid_t berthd_pid_;
  static std::unique_ptr<Client> client_;
  static Holdings before_;
  static int serial_;
};

}  // namespace berth::node_test
