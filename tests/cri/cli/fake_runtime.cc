// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/cli/fake_runtime.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "core/base/check.h"

namespace berth::test {

namespace {

using Lock = std::lock_guard<std::mutex>;

// Makes ids of 64 hex digits that differ in the first digits, as real ids do.
std::string id_of(int number) {
  std::string digits = std::to_string(number);
  return digits + std::string(64 - digits.size(), 'a');
}

grpc::Status not_found(const std::string& id) {
  return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such thing: " + id);
}

bool selected(const google::protobuf::Map<std::string, std::string>& selector,
              const google::protobuf::Map<std::string, std::string>& labels) {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

FakeRuntime::FakeRuntime(Script script, grpc::Service* more) : script_(std::move(script)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(endpoint(), grpc::InsecureServerCredentials());
  builder.RegisterService(static_cast<cri::RuntimeService::Service*>(this));
  builder.RegisterService(static_cast<cri::ImageService::Service*>(this));
  if (more != nullptr) builder.RegisterService(more);
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr);
}

FakeRuntime::~FakeRuntime() {
  server_->Shutdown();
}

std::size_t FakeRuntime::pods() const {
  const Lock lock(mutex_);
  return pods_.size();
}

std::size_t FakeRuntime::containers() const {
  const Lock lock(mutex_);
  return containers_.size();
}

int FakeRuntime::pulls() const {
  const Lock lock(mutex_);
  return pulls_;
}

std::size_t FakeRuntime::pods_made() const {
  const Lock lock(mutex_);
  return pods_made_;
}

cri::ContainerConfig FakeRuntime::last_container() const {
  const Lock lock(mutex_);
  return last_container_;
}

grpc::Status FakeRuntime::Version(Context*, const cri::VersionRequest*,
                                  cri::VersionResponse* response) {
  response->set_runtime_name("fake");
  response->set_runtime_version("1");
  response->set_runtime_api_version("v1");
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::RunPodSandbox(Context*, const cri::RunPodSandboxRequest* request,
                                        cri::RunPodSandboxResponse* response) {
  const Lock lock(mutex_);
  const std::string id = id_of(next_id_++);
  pods_[id].config = request->config();
  ++pods_made_;
  response->set_pod_sandbox_id(id);
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::StopPodSandbox(Context*, const cri::StopPodSandboxRequest* request,
                                         cri::StopPodSandboxResponse*) {
  const Lock lock(mutex_);
  const auto pod = pods_.find(request->pod_sandbox_id());
  if (pod != pods_.end()) pod->second.ready = false;
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::RemovePodSandbox(Context*, const cri::RemovePodSandboxRequest* request,
                                           cri::RemovePodSandboxResponse*) {
  const Lock lock(mutex_);
  pods_.erase(request->pod_sandbox_id());
  std::erase_if(containers_, [&](const auto& entry) {
    return entry.second.pod_id == request->pod_sandbox_id();
  });
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::PodSandboxStatus(Context*, const cri::PodSandboxStatusRequest* request,
                                           cri::PodSandboxStatusResponse* response) {
  const Lock lock(mutex_);
  const auto pod = pods_.find(request->pod_sandbox_id());
  if (pod == pods_.end()) return not_found(request->pod_sandbox_id());
  cri::PodSandboxStatus* status = response->mutable_status();
  status->set_id(pod->first);
  *status->mutable_metadata() = pod->second.config.metadata();
  *status->mutable_labels() = pod->second.config.labels();
  *status->mutable_annotations() = pod->second.config.annotations();
  if (request->verbose() && !script_.stages.empty()) {
    (*response->mutable_info())["stages"] = script_.stages;
  }
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::ListPodSandbox(Context*, const cri::ListPodSandboxRequest* request,
                                         cri::ListPodSandboxResponse* response) {
  const Lock lock(mutex_);
  for (const auto& [id, pod] : pods_) {
    if (!selected(request->filter().label_selector(), pod.config.labels())) continue;
    cri::PodSandbox* item = response->add_items();
    item->set_id(id);
    *item->mutable_metadata() = pod.config.metadata();
    *item->mutable_labels() = pod.config.labels();
    item->set_state(pod.ready ? cri::SANDBOX_READY : cri::SANDBOX_NOTREADY);
  }
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::CreateContainer(Context*, const cri::CreateContainerRequest* request,
                                          cri::CreateContainerResponse* response) {
  const Lock lock(mutex_);
  if (!pods_.contains(request->pod_sandbox_id())) return not_found(request->pod_sandbox_id());
  const std::string id = id_of(next_id_++);
  containers_[id] = {request->config(), request->pod_sandbox_id(), cri::CONTAINER_CREATED,
                     script_.running_answers, script_.exit_code};
  last_container_ = request->config();
  response->set_container_id(id);
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::StartContainer(Context*, const cri::StartContainerRequest* request,
                                         cri::StartContainerResponse*) {
  const Lock lock(mutex_);
  const auto found = containers_.find(request->container_id());
  if (found == containers_.end()) return not_found(request->container_id());
  if (script_.refuse_start) return grpc::Status(grpc::StatusCode::INTERNAL, "exec: ENOENT");
  Container& container = found->second;
  container.state = cri::CONTAINER_RUNNING;
  std::ofstream log(pods_[container.pod_id].config.log_directory() + "/" +
                    container.config.log_path());
  log << script_.log;
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::StopContainer(Context*, const cri::StopContainerRequest* request,
                                        cri::StopContainerResponse*) {
  const Lock lock(mutex_);
  const auto found = containers_.find(request->container_id());
  if (found == containers_.end() || found->second.state != cri::CONTAINER_RUNNING) {
    return grpc::Status::OK;
  }
  found->second.state = cri::CONTAINER_EXITED;
  // A container with no answers left has already ended by itself.
  if (found->second.answers_left != 0) found->second.exit_code = 137;
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::RemoveContainer(Context*, const cri::RemoveContainerRequest* request,
                                          cri::RemoveContainerResponse*) {
  const Lock lock(mutex_);
  containers_.erase(request->container_id());
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::ListContainers(Context*, const cri::ListContainersRequest* request,
                                         cri::ListContainersResponse* response) {
  const Lock lock(mutex_);
  for (const auto& [id, container] : containers_) {
    if (!selected(request->filter().label_selector(), container.config.labels())) continue;
    if (request->filter().has_state() && request->filter().state().state() != container.state)
      continue;
    cri::Container* item = response->add_containers();
    item->set_id(id);
    item->set_pod_sandbox_id(container.pod_id);
    item->set_image_id("sha256:" + container.config.image().image());
    *item->mutable_metadata() = container.config.metadata();
    *item->mutable_labels() = container.config.labels();
    item->set_state(container.state);
  }
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::ContainerStatus(Context*, const cri::ContainerStatusRequest* request,
                                          cri::ContainerStatusResponse* response) {
  const Lock lock(mutex_);
  const auto found = containers_.find(request->container_id());
  if (found == containers_.end()) return not_found(request->container_id());
  Container& container = found->second;
  if (container.state == cri::CONTAINER_RUNNING && container.answers_left >= 0 &&
      container.answers_left-- == 0) {
    container.state = script_.ends_as;
  }
  cri::ContainerStatus* status = response->mutable_status();
  status->set_id(found->first);
  status->set_state(container.state);
  status->set_log_path(pods_[container.pod_id].config.log_directory() + "/" +
                       container.config.log_path());
  if (container.state == cri::CONTAINER_EXITED) status->set_exit_code(container.exit_code);
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::ExecSync(Context*, const cri::ExecSyncRequest* request,
                                   cri::ExecSyncResponse* response) {
  const Lock lock(mutex_);
  if (!containers_.contains(request->container_id())) return not_found(request->container_id());
  *response = script_.exec;
  // Writes the command to stdout, one word per line, so that tests can check its words.
  for (const std::string& word : request->cmd()) response->mutable_stdout()->append(word + "\n");
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::ImageStatus(Context*, const cri::ImageStatusRequest* request,
                                      cri::ImageStatusResponse* response) {
  const Lock lock(mutex_);
  if (script_.image_present || pulls_ > 0) {
    response->mutable_image()->set_id("sha256:" + request->image().image());
    for (const std::string& tag : script_.repo_tags) response->mutable_image()->add_repo_tags(tag);
    if (request->verbose()) (*response->mutable_info())["info"] = R"({"size":7})";
  }
  return grpc::Status::OK;
}

grpc::Status FakeRuntime::RemoveImage(Context*, const cri::RemoveImageRequest* request,
                                      cri::RemoveImageResponse*) {
  const Lock lock(mutex_);
  removed_images_.push_back(request->image().image());
  return grpc::Status::OK;
}

std::vector<std::string> FakeRuntime::removed_images() const {
  const Lock lock(mutex_);
  return removed_images_;
}

grpc::Status FakeRuntime::PullImage(Context*, const cri::PullImageRequest* request,
                                    cri::PullImageResponse* response) {
  const Lock lock(mutex_);
  ++pulls_;
  response->set_image_ref("sha256:" + request->image().image());
  return grpc::Status::OK;
}

}  // namespace berth::test
