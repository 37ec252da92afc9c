// SPDX-License-Identifier: Apache-2.0
#include "cri/methods.h"

#include <string>

#include "cri/about/calls.h"
#include "cri/container/calls.h"
#include "cri/image/calls.h"
#include "cri/sandbox/calls.h"

namespace berth::cri {
namespace {

// One service of the protocol in the table.
class Service {
 public:
  Service(Node& node, rpc::Methods& methods, std::string name)
      : node_(node), methods_(methods), name_(std::move(name)) {}

  // A client that goes away does not end the call: the work either completes or is joined by the
  // retry.
  template <typename Request, typename Response>
  void add(const char* method, Task<Response> (*call)(Node&, const Request&),
           bool ends_with_client = false) {
    Node& node = node_;
    const auto bound = [&node, call](const Request& request) { return call(node, request); };
    methods_.add(path(method), rpc::unary<Request, Response>(bound, ends_with_client));
  }
  // Many answers to one request; without its client a stream has no purpose.
  void add_stream(const char* method, Task<void> (*stream)(Node&, rpc::Call&)) {
    Node& node = node_;
    rpc::Method streaming;
    streaming.handler = [&node, stream](rpc::Call& call) { return stream(node, call); };
    streaming.ends_with_client = true;
    methods_.add(path(method), std::move(streaming));
  }

 private:
  std::string path(const char* method) const { return "/" + name_ + "/" + method; }

  Node& node_;
  rpc::Methods& methods_;
  std::string name_;
};

}  // namespace

rpc::Methods runtime_v1(Node& node) {
  rpc::Methods methods;
  Service runtime(node, methods, "runtime.v1.RuntimeService");
  runtime.add("Version", &version);
  runtime.add("Status", &status);
  runtime.add("RuntimeConfig", &runtime_config);
  runtime.add("UpdateRuntimeConfig", &update_runtime_config);
  runtime.add("RunPodSandbox", &run_pod_sandbox);
  runtime.add("StopPodSandbox", &stop_pod_sandbox);
  runtime.add("RemovePodSandbox", &remove_pod_sandbox);
  runtime.add("PodSandboxStatus", &pod_sandbox_status);
  runtime.add("ListPodSandbox", &list_pod_sandbox);
  runtime.add("CreateContainer", &create_container);
  runtime.add("StartContainer", &start_container);
  runtime.add("StopContainer", &stop_container);
  runtime.add("RemoveContainer", &remove_container);
  runtime.add("ListContainers", &list_containers);
  runtime.add("ContainerStatus", &container_status);
  runtime.add("ReopenContainerLog", &reopen_container_log);
  // Its answer is of use to this client only, and without a timeout nothing else would end it.
  runtime.add("ExecSync", &exec_sync, true);
  Service image(node, methods, "runtime.v1.ImageService");
  image.add("ListImages", &list_images);
  image.add("ImageStatus", &image_status);
  image.add_stream("StreamImages", &stream_images);
  // Work that another client wants goes on without this one.
  image.add("PullImage", &pull_image, true);
  image.add("RemoveImage", &remove_image);
  image.add("ImageFsInfo", &image_fs_info);
  return methods;
}

}  // namespace berth::cri
