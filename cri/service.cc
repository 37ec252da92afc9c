// SPDX-License-Identifier: Apache-2.0
#include "cri/service.h"

#include "cri/about/calls.h"
#include "cri/bridge.h"
#include "cri/container/calls.h"
#include "cri/image/calls.h"
#include "cri/sandbox/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

template <typename Request, typename Response>
grpc::ServerUnaryReactor* CallLine::run(grpc::CallbackServerContext* context,
                                        const Request* request, Response* response,
                                        Task<Response> (*call)(Node&, const Request&)) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  node_.ring.post([this, request, response, reactor, call]() {
    node_.quiet.touch();
    const bool begun = scope_.spawn(finish_unary(call(node_, *request), response, reactor));
    if (!begun) reactor->Finish({grpc::StatusCode::UNAVAILABLE, "berthd is shutting down"});
  });
  return reactor;
}

grpc::ServerUnaryReactor* RuntimeService::Version(Context* context,
                                                  const v1::VersionRequest* request,
                                                  v1::VersionResponse* response) {
  return line_.run(context, request, response, &version);
}
grpc::ServerUnaryReactor* RuntimeService::RunPodSandbox(Context* context,
                                                        const v1::RunPodSandboxRequest* request,
                                                        v1::RunPodSandboxResponse* response) {
  return line_.run(context, request, response, &run_pod_sandbox);
}
grpc::ServerUnaryReactor* RuntimeService::StopPodSandbox(Context* context,
                                                         const v1::StopPodSandboxRequest* request,
                                                         v1::StopPodSandboxResponse* response) {
  return line_.run(context, request, response, &stop_pod_sandbox);
}
grpc::ServerUnaryReactor* RuntimeService::RemovePodSandbox(
    Context* context, const v1::RemovePodSandboxRequest* request,
    v1::RemovePodSandboxResponse* response) {
  return line_.run(context, request, response, &remove_pod_sandbox);
}
grpc::ServerUnaryReactor* RuntimeService::PodSandboxStatus(
    Context* context, const v1::PodSandboxStatusRequest* request,
    v1::PodSandboxStatusResponse* response) {
  return line_.run(context, request, response, &pod_sandbox_status);
}
grpc::ServerUnaryReactor* RuntimeService::ListPodSandbox(Context* context,
                                                         const v1::ListPodSandboxRequest* request,
                                                         v1::ListPodSandboxResponse* response) {
  return line_.run(context, request, response, &list_pod_sandbox);
}
grpc::ServerUnaryReactor* RuntimeService::CreateContainer(Context* context,
                                                          const v1::CreateContainerRequest* request,
                                                          v1::CreateContainerResponse* response) {
  return line_.run(context, request, response, &create_container);
}
grpc::ServerUnaryReactor* RuntimeService::StartContainer(Context* context,
                                                         const v1::StartContainerRequest* request,
                                                         v1::StartContainerResponse* response) {
  return line_.run(context, request, response, &start_container);
}
grpc::ServerUnaryReactor* RuntimeService::StopContainer(Context* context,
                                                        const v1::StopContainerRequest* request,
                                                        v1::StopContainerResponse* response) {
  return line_.run(context, request, response, &stop_container);
}
grpc::ServerUnaryReactor* RuntimeService::RemoveContainer(Context* context,
                                                          const v1::RemoveContainerRequest* request,
                                                          v1::RemoveContainerResponse* response) {
  return line_.run(context, request, response, &remove_container);
}
grpc::ServerUnaryReactor* RuntimeService::ListContainers(Context* context,
                                                         const v1::ListContainersRequest* request,
                                                         v1::ListContainersResponse* response) {
  return line_.run(context, request, response, &list_containers);
}
grpc::ServerUnaryReactor* RuntimeService::ContainerStatus(Context* context,
                                                          const v1::ContainerStatusRequest* request,
                                                          v1::ContainerStatusResponse* response) {
  return line_.run(context, request, response, &container_status);
}
grpc::ServerUnaryReactor* RuntimeService::ReopenContainerLog(
    Context* context, const v1::ReopenContainerLogRequest* request,
    v1::ReopenContainerLogResponse* response) {
  return line_.run(context, request, response, &reopen_container_log);
}
grpc::ServerUnaryReactor* RuntimeService::ExecSync(Context* context,
                                                   const v1::ExecSyncRequest* request,
                                                   v1::ExecSyncResponse* response) {
  return line_.run(context, request, response, &exec_sync);
}
grpc::ServerUnaryReactor* RuntimeService::UpdateRuntimeConfig(
    Context* context, const v1::UpdateRuntimeConfigRequest* request,
    v1::UpdateRuntimeConfigResponse* response) {
  return line_.run(context, request, response, &update_runtime_config);
}
grpc::ServerUnaryReactor* RuntimeService::Status(Context* context, const v1::StatusRequest* request,
                                                 v1::StatusResponse* response) {
  return line_.run(context, request, response, &status);
}
grpc::ServerUnaryReactor* RuntimeService::RuntimeConfig(Context* context,
                                                        const v1::RuntimeConfigRequest* request,
                                                        v1::RuntimeConfigResponse* response) {
  return line_.run(context, request, response, &runtime_config);
}

grpc::ServerUnaryReactor* ImageService::ListImages(Context* context,
                                                   const v1::ListImagesRequest* request,
                                                   v1::ListImagesResponse* response) {
  return line_.run(context, request, response, &list_images);
}
grpc::ServerUnaryReactor* ImageService::ImageStatus(Context* context,
                                                    const v1::ImageStatusRequest* request,
                                                    v1::ImageStatusResponse* response) {
  return line_.run(context, request, response, &image_status);
}
grpc::ServerUnaryReactor* ImageService::PullImage(Context* context,
                                                  const v1::PullImageRequest* request,
                                                  v1::PullImageResponse* response) {
  return line_.run(context, request, response, &pull_image);
}
grpc::ServerUnaryReactor* ImageService::RemoveImage(Context* context,
                                                    const v1::RemoveImageRequest* request,
                                                    v1::RemoveImageResponse* response) {
  return line_.run(context, request, response, &remove_image);
}
grpc::ServerUnaryReactor* ImageService::ImageFsInfo(Context* context,
                                                    const v1::ImageFsInfoRequest* request,
                                                    v1::ImageFsInfoResponse* response) {
  return line_.run(context, request, response, &image_fs_info);
}

}  // namespace berth::cri
