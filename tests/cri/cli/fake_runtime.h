// SPDX-License-Identifier: Apache-2.0
// A fake CRI runtime in the test process, on a socket in its own directory. It keeps pods and
// containers in memory. A Script determines its logs, the ends of containers, and its responses.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/proto/services.grpc.pb.h"
#include "tests/support/temporary_dir.h"

namespace berth::test {

namespace cri = ::runtime::v1;

struct Script {
  std::string log;          // written at StartContainer, in CRI's format
  int exit_code = 0;        // of a container that ends by itself
  int running_answers = 1;  // ContainerStatus returns RUNNING so often, then EXITED; -1: always
  // The final state in ContainerStatus. Only EXITED has an exit code.
  cri::ContainerState ends_as = cri::CONTAINER_EXITED;
  bool refuse_start = false;
  bool image_present = true;
  std::string stages;                    // info["stages"] of the sandbox; may be empty
  std::vector<std::string> repo_tags{};  // of the present image
  cri::ExecSyncResponse exec;
};

class FakeRuntime final : public cri::RuntimeService::Service, public cri::ImageService::Service {
 public:
  // `more` is an additional service beside the two of the CRI. It must outlive the object.
  explicit FakeRuntime(Script script, grpc::Service* more = nullptr);
  ~FakeRuntime() override;

  std::string endpoint() const { return "unix://" + directory_ / "cri.sock"; }
  const std::string& directory() const { return directory_.path(); }
  std::size_t pods() const;
  std::size_t containers() const;
  int pulls() const;
  std::size_t pods_made() const;
  cri::ContainerConfig last_container() const;
  std::vector<std::string> removed_images() const;

 private:
  using Context = grpc::ServerContext;
  using Answer = grpc::Status;
  struct Pod {
    cri::PodSandboxConfig config;
    bool ready = true;
  };
  struct Container {
    cri::ContainerConfig config;
    std::string pod_id;
    cri::ContainerState state = cri::CONTAINER_CREATED;
    int answers_left = 0;
    int exit_code = 0;
  };

  Answer Version(Context*, const cri::VersionRequest*, cri::VersionResponse* response) override;
  Answer RunPodSandbox(Context*, const cri::RunPodSandboxRequest* request,
                       cri::RunPodSandboxResponse* response) override;
  Answer StopPodSandbox(Context*, const cri::StopPodSandboxRequest* request,
                        cri::StopPodSandboxResponse*) override;
  Answer RemovePodSandbox(Context*, const cri::RemovePodSandboxRequest* request,
                          cri::RemovePodSandboxResponse*) override;
  Answer PodSandboxStatus(Context*, const cri::PodSandboxStatusRequest* request,
                          cri::PodSandboxStatusResponse* response) override;
  Answer ListPodSandbox(Context*, const cri::ListPodSandboxRequest* request,
                        cri::ListPodSandboxResponse* response) override;
  Answer CreateContainer(Context*, const cri::CreateContainerRequest* request,
                         cri::CreateContainerResponse* response) override;
  Answer StartContainer(Context*, const cri::StartContainerRequest* request,
                        cri::StartContainerResponse*) override;
  Answer StopContainer(Context*, const cri::StopContainerRequest* request,
                       cri::StopContainerResponse*) override;
  Answer RemoveContainer(Context*, const cri::RemoveContainerRequest* request,
                         cri::RemoveContainerResponse*) override;
  Answer ListContainers(Context*, const cri::ListContainersRequest* request,
                        cri::ListContainersResponse* response) override;
  Answer ContainerStatus(Context*, const cri::ContainerStatusRequest* request,
                         cri::ContainerStatusResponse* response) override;
  Answer ExecSync(Context*, const cri::ExecSyncRequest* request,
                  cri::ExecSyncResponse* response) override;
  Answer ImageStatus(Context*, const cri::ImageStatusRequest* request,
                     cri::ImageStatusResponse* response) override;
  Answer PullImage(Context*, const cri::PullImageRequest* request,
                   cri::PullImageResponse* response) override;
  Answer RemoveImage(Context*, const cri::RemoveImageRequest* request,
                     cri::RemoveImageResponse*) override;

  Script script_;
  const TemporaryDir directory_;
  mutable std::mutex mutex_;
  std::map<std::string, Pod> pods_;
  std::map<std::string, Container> containers_;
  cri::ContainerConfig last_container_;
  std::size_t pods_made_ = 0;
  int next_id_ = 1;
  int pulls_ = 0;
  std::vector<std::string> removed_images_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace berth::test
