// SPDX-License-Identifier: Apache-2.0
// The calls that are not built yet. Each names itself, so that a client's log says what was
// missing.
#include "cri/service.h"

#include "cri/bridge.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context, const char* rpc) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(refusal(rpc));
  return reactor;
}

}  // namespace

grpc::ServerWriteReactor<v1::StreamPodSandboxesResponse>* RuntimeService::StreamPodSandboxes(
    Context*, const v1::StreamPodSandboxesRequest*) {
  return new RefusedStream<v1::StreamPodSandboxesResponse>("StreamPodSandboxes");
}
grpc::ServerWriteReactor<v1::StreamContainersResponse>* RuntimeService::StreamContainers(
    Context*, const v1::StreamContainersRequest*) {
  return new RefusedStream<v1::StreamContainersResponse>("StreamContainers");
}
grpc::ServerUnaryReactor* RuntimeService::UpdateContainerResources(
    Context* context, const v1::UpdateContainerResourcesRequest*,
    v1::UpdateContainerResourcesResponse*) {
  return refuse(context, "UpdateContainerResources");
}
grpc::ServerUnaryReactor* RuntimeService::Exec(Context* context, const v1::ExecRequest*,
                                               v1::ExecResponse*) {
  return refuse(context, "Exec");
}
grpc::ServerUnaryReactor* RuntimeService::Attach(Context* context, const v1::AttachRequest*,
                                                 v1::AttachResponse*) {
  return refuse(context, "Attach");
}
grpc::ServerUnaryReactor* RuntimeService::PortForward(Context* context,
                                                      const v1::PortForwardRequest*,
                                                      v1::PortForwardResponse*) {
  return refuse(context, "PortForward");
}
grpc::ServerUnaryReactor* RuntimeService::ContainerStats(Context* context,
                                                         const v1::ContainerStatsRequest*,
                                                         v1::ContainerStatsResponse*) {
  return refuse(context, "ContainerStats");
}
grpc::ServerUnaryReactor* RuntimeService::ListContainerStats(Context* context,
                                                             const v1::ListContainerStatsRequest*,
                                                             v1::ListContainerStatsResponse*) {
  return refuse(context, "ListContainerStats");
}
grpc::ServerWriteReactor<v1::StreamContainerStatsResponse>* RuntimeService::StreamContainerStats(
    Context*, const v1::StreamContainerStatsRequest*) {
  return new RefusedStream<v1::StreamContainerStatsResponse>("StreamContainerStats");
}
grpc::ServerUnaryReactor* RuntimeService::PodSandboxStats(Context* context,
                                                          const v1::PodSandboxStatsRequest*,
                                                          v1::PodSandboxStatsResponse*) {
  return refuse(context, "PodSandboxStats");
}
grpc::ServerUnaryReactor* RuntimeService::ListPodSandboxStats(Context* context,
                                                              const v1::ListPodSandboxStatsRequest*,
                                                              v1::ListPodSandboxStatsResponse*) {
  return refuse(context, "ListPodSandboxStats");
}
grpc::ServerWriteReactor<v1::StreamPodSandboxStatsResponse>* RuntimeService::StreamPodSandboxStats(
    Context*, const v1::StreamPodSandboxStatsRequest*) {
  return new RefusedStream<v1::StreamPodSandboxStatsResponse>("StreamPodSandboxStats");
}
grpc::ServerUnaryReactor* RuntimeService::CheckpointContainer(Context* context,
                                                              const v1::CheckpointContainerRequest*,
                                                              v1::CheckpointContainerResponse*) {
  return refuse(context, "CheckpointContainer");
}
grpc::ServerUnaryReactor* RuntimeService::CheckpointPod(Context* context,
                                                        const v1::CheckpointPodRequest*,
                                                        v1::CheckpointPodResponse*) {
  return refuse(context, "CheckpointPod");
}
grpc::ServerUnaryReactor* RuntimeService::RestorePod(Context* context, const v1::RestorePodRequest*,
                                                     v1::RestorePodResponse*) {
  return refuse(context, "RestorePod");
}
grpc::ServerWriteReactor<v1::ContainerEventResponse>* RuntimeService::GetContainerEvents(
    Context*, const v1::GetEventsRequest*) {
  return new RefusedStream<v1::ContainerEventResponse>("GetContainerEvents");
}
grpc::ServerUnaryReactor* RuntimeService::ListMetricDescriptors(
    Context* context, const v1::ListMetricDescriptorsRequest*, v1::ListMetricDescriptorsResponse*) {
  return refuse(context, "ListMetricDescriptors");
}
grpc::ServerUnaryReactor* RuntimeService::ListPodSandboxMetrics(
    Context* context, const v1::ListPodSandboxMetricsRequest*, v1::ListPodSandboxMetricsResponse*) {
  return refuse(context, "ListPodSandboxMetrics");
}
grpc::ServerWriteReactor<v1::StreamPodSandboxMetricsResponse>*
RuntimeService::StreamPodSandboxMetrics(Context*, const v1::StreamPodSandboxMetricsRequest*) {
  return new RefusedStream<v1::StreamPodSandboxMetricsResponse>("StreamPodSandboxMetrics");
}
grpc::ServerUnaryReactor* RuntimeService::UpdatePodSandboxResources(
    Context* context, const v1::UpdatePodSandboxResourcesRequest*,
    v1::UpdatePodSandboxResourcesResponse*) {
  return refuse(context, "UpdatePodSandboxResources");
}

grpc::ServerWriteReactor<v1::StreamImagesResponse>* ImageService::StreamImages(
    Context*, const v1::StreamImagesRequest*) {
  return new RefusedStream<v1::StreamImagesResponse>("StreamImages");
}

}  // namespace berth::cri
