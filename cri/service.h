// SPDX-License-Identifier: Apache-2.0
// The two services of runtime.v1 on gRPC's callback API. Each call that works is one line here and
// one file elsewhere; each that does not answers UNIMPLEMENTED and names itself.
#pragma once

#include "core/task/scope.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// Runs `call(node, *request)` on the loop; thread-safe.
class CallLine {
 public:
  // `scope` is the loop's; after its close further calls answer UNAVAILABLE.
  CallLine(Node& node, Scope& scope) : node_(node), scope_(scope) {}

  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* run(grpc::CallbackServerContext* context, const Request* request,
                                Response* response, Task<Response> (*call)(Node&, const Request&));

 private:
  Node& node_;
  Scope& scope_;
};

class RuntimeService final : public runtime::v1::RuntimeService::CallbackService {
 public:
  RuntimeService(Node& node, Scope& scope) : line_(node, scope) {}

  using Context = grpc::CallbackServerContext;

  grpc::ServerUnaryReactor* Version(Context* context, const runtime::v1::VersionRequest* request,
                                    runtime::v1::VersionResponse* response) override;
  grpc::ServerUnaryReactor* RunPodSandbox(Context* context,
                                          const runtime::v1::RunPodSandboxRequest* request,
                                          runtime::v1::RunPodSandboxResponse* response) override;
  grpc::ServerUnaryReactor* StopPodSandbox(Context* context,
                                           const runtime::v1::StopPodSandboxRequest* request,
                                           runtime::v1::StopPodSandboxResponse* response) override;
  grpc::ServerUnaryReactor* RemovePodSandbox(
      Context* context, const runtime::v1::RemovePodSandboxRequest* request,
      runtime::v1::RemovePodSandboxResponse* response) override;
  grpc::ServerUnaryReactor* PodSandboxStatus(
      Context* context, const runtime::v1::PodSandboxStatusRequest* request,
      runtime::v1::PodSandboxStatusResponse* response) override;
  grpc::ServerUnaryReactor* ListPodSandbox(Context* context,
                                           const runtime::v1::ListPodSandboxRequest* request,
                                           runtime::v1::ListPodSandboxResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamPodSandboxesResponse>* StreamPodSandboxes(
      Context* context, const runtime::v1::StreamPodSandboxesRequest* request) override;
  grpc::ServerUnaryReactor* CreateContainer(
      Context* context, const runtime::v1::CreateContainerRequest* request,
      runtime::v1::CreateContainerResponse* response) override;
  grpc::ServerUnaryReactor* StartContainer(Context* context,
                                           const runtime::v1::StartContainerRequest* request,
                                           runtime::v1::StartContainerResponse* response) override;
  grpc::ServerUnaryReactor* StopContainer(Context* context,
                                          const runtime::v1::StopContainerRequest* request,
                                          runtime::v1::StopContainerResponse* response) override;
  grpc::ServerUnaryReactor* RemoveContainer(
      Context* context, const runtime::v1::RemoveContainerRequest* request,
      runtime::v1::RemoveContainerResponse* response) override;
  grpc::ServerUnaryReactor* ListContainers(Context* context,
                                           const runtime::v1::ListContainersRequest* request,
                                           runtime::v1::ListContainersResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamContainersResponse>* StreamContainers(
      Context* context, const runtime::v1::StreamContainersRequest* request) override;
  grpc::ServerUnaryReactor* ContainerStatus(
      Context* context, const runtime::v1::ContainerStatusRequest* request,
      runtime::v1::ContainerStatusResponse* response) override;
  grpc::ServerUnaryReactor* UpdateContainerResources(
      Context* context, const runtime::v1::UpdateContainerResourcesRequest* request,
      runtime::v1::UpdateContainerResourcesResponse* response) override;
  grpc::ServerUnaryReactor* ReopenContainerLog(
      Context* context, const runtime::v1::ReopenContainerLogRequest* request,
      runtime::v1::ReopenContainerLogResponse* response) override;
  grpc::ServerUnaryReactor* ExecSync(Context* context, const runtime::v1::ExecSyncRequest* request,
                                     runtime::v1::ExecSyncResponse* response) override;
  grpc::ServerUnaryReactor* Exec(Context* context, const runtime::v1::ExecRequest* request,
                                 runtime::v1::ExecResponse* response) override;
  grpc::ServerUnaryReactor* Attach(Context* context, const runtime::v1::AttachRequest* request,
                                   runtime::v1::AttachResponse* response) override;
  grpc::ServerUnaryReactor* PortForward(Context* context,
                                        const runtime::v1::PortForwardRequest* request,
                                        runtime::v1::PortForwardResponse* response) override;
  grpc::ServerUnaryReactor* ContainerStats(Context* context,
                                           const runtime::v1::ContainerStatsRequest* request,
                                           runtime::v1::ContainerStatsResponse* response) override;
  grpc::ServerUnaryReactor* ListContainerStats(
      Context* context, const runtime::v1::ListContainerStatsRequest* request,
      runtime::v1::ListContainerStatsResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamContainerStatsResponse>* StreamContainerStats(
      Context* context, const runtime::v1::StreamContainerStatsRequest* request) override;
  grpc::ServerUnaryReactor* PodSandboxStats(
      Context* context, const runtime::v1::PodSandboxStatsRequest* request,
      runtime::v1::PodSandboxStatsResponse* response) override;
  grpc::ServerUnaryReactor* ListPodSandboxStats(
      Context* context, const runtime::v1::ListPodSandboxStatsRequest* request,
      runtime::v1::ListPodSandboxStatsResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamPodSandboxStatsResponse>* StreamPodSandboxStats(
      Context* context, const runtime::v1::StreamPodSandboxStatsRequest* request) override;
  grpc::ServerUnaryReactor* UpdateRuntimeConfig(
      Context* context, const runtime::v1::UpdateRuntimeConfigRequest* request,
      runtime::v1::UpdateRuntimeConfigResponse* response) override;
  grpc::ServerUnaryReactor* Status(Context* context, const runtime::v1::StatusRequest* request,
                                   runtime::v1::StatusResponse* response) override;
  grpc::ServerUnaryReactor* CheckpointContainer(
      Context* context, const runtime::v1::CheckpointContainerRequest* request,
      runtime::v1::CheckpointContainerResponse* response) override;
  grpc::ServerUnaryReactor* CheckpointPod(Context* context,
                                          const runtime::v1::CheckpointPodRequest* request,
                                          runtime::v1::CheckpointPodResponse* response) override;
  grpc::ServerUnaryReactor* RestorePod(Context* context,
                                       const runtime::v1::RestorePodRequest* request,
                                       runtime::v1::RestorePodResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::ContainerEventResponse>* GetContainerEvents(
      Context* context, const runtime::v1::GetEventsRequest* request) override;
  grpc::ServerUnaryReactor* ListMetricDescriptors(
      Context* context, const runtime::v1::ListMetricDescriptorsRequest* request,
      runtime::v1::ListMetricDescriptorsResponse* response) override;
  grpc::ServerUnaryReactor* ListPodSandboxMetrics(
      Context* context, const runtime::v1::ListPodSandboxMetricsRequest* request,
      runtime::v1::ListPodSandboxMetricsResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamPodSandboxMetricsResponse>* StreamPodSandboxMetrics(
      Context* context, const runtime::v1::StreamPodSandboxMetricsRequest* request) override;
  grpc::ServerUnaryReactor* RuntimeConfig(Context* context,
                                          const runtime::v1::RuntimeConfigRequest* request,
                                          runtime::v1::RuntimeConfigResponse* response) override;
  grpc::ServerUnaryReactor* UpdatePodSandboxResources(
      Context* context, const runtime::v1::UpdatePodSandboxResourcesRequest* request,
      runtime::v1::UpdatePodSandboxResourcesResponse* response) override;

 private:
  CallLine line_;
};

class ImageService final : public runtime::v1::ImageService::CallbackService {
 public:
  ImageService(Node& node, Scope& scope) : line_(node, scope) {}

  using Context = grpc::CallbackServerContext;

  grpc::ServerUnaryReactor* ListImages(Context* context,
                                       const runtime::v1::ListImagesRequest* request,
                                       runtime::v1::ListImagesResponse* response) override;
  grpc::ServerWriteReactor<runtime::v1::StreamImagesResponse>* StreamImages(
      Context* context, const runtime::v1::StreamImagesRequest* request) override;
  grpc::ServerUnaryReactor* ImageStatus(Context* context,
                                        const runtime::v1::ImageStatusRequest* request,
                                        runtime::v1::ImageStatusResponse* response) override;
  grpc::ServerUnaryReactor* PullImage(Context* context,
                                      const runtime::v1::PullImageRequest* request,
                                      runtime::v1::PullImageResponse* response) override;
  grpc::ServerUnaryReactor* RemoveImage(Context* context,
                                        const runtime::v1::RemoveImageRequest* request,
                                        runtime::v1::RemoveImageResponse* response) override;
  grpc::ServerUnaryReactor* ImageFsInfo(Context* context,
                                        const runtime::v1::ImageFsInfoRequest* request,
                                        runtime::v1::ImageFsInfoResponse* response) override;

 private:
  CallLine line_;
};

}  // namespace berth::cri
