// SPDX-License-Identifier: Apache-2.0
#include "cri/pods.h"

#include <algorithm>

#include "cri/field.h"
#include "cri/sandbox/namespaces.h"

namespace berth::cri {

namespace {

// The name may already be that of a successor: its entry stays.
void release(std::unordered_map<std::string, std::string>& names, const std::string& name,
             const std::string& id) {
  const auto found = names.find(name);
  if (found != names.end() && found->second == id) names.erase(found);
}

}  // namespace

std::shared_ptr<Sandbox> Pods::sandbox(std::string_view id) const {
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : found->second;
}

std::shared_ptr<Container> Pods::container(std::string_view id) const {
  const auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<Sandbox>> Pods::need_sandbox(std::string_view field,
                                                    std::string_view id) const {
  TRY_(check_name(field, id));
  std::shared_ptr<Sandbox> found = sandbox(id);
  if (found == nullptr) {
    return make_error(Errc::not_found,
                      std::string(field) + ": sandbox `" + shown(id) + "` does not exist");
  }
  return found;
}

Result<std::shared_ptr<Container>> Pods::need_container(std::string_view field,
                                                        std::string_view id) const {
  TRY_(check_name(field, id));
  std::shared_ptr<Container> found = container(id);
  if (found == nullptr) {
    return make_error(Errc::not_found,
                      std::string(field) + ": container `" + shown(id) + "` does not exist");
  }
  return found;
}

// A checked name has no '\n', so different parts never make the same key.
std::string Pods::name_of(const runtime::v1::PodSandboxMetadata& metadata) {
  return "pod\n" + metadata.namespace_() + "\n" + metadata.name() + "\n" + metadata.uid() + "\n" +
         std::to_string(metadata.attempt());
}

std::string Pods::name_of(std::string_view sandbox_id,
                          const runtime::v1::ContainerMetadata& metadata) {
  return "container\n" + std::string(sandbox_id) + "\n" + metadata.name() + "\n" +
         std::to_string(metadata.attempt());
}

std::shared_ptr<Sandbox> Pods::sandbox_by_name(const std::string& name) const {
  const auto found = sandbox_names_.find(name);
  return found == sandbox_names_.end() ? nullptr : sandbox(found->second);
}

std::shared_ptr<Container> Pods::container_by_name(const std::string& name) const {
  const auto found = container_names_.find(name);
  return found == container_names_.end() ? nullptr : container(found->second);
}

void Pods::add(std::shared_ptr<Sandbox> sandbox) {
  sandbox_names_[name_of(sandbox->item.metadata())] = sandbox->id();
  const std::string id = sandbox->id();
  sandboxes_[id] = std::move(sandbox);
}

void Pods::add(std::shared_ptr<Container> container) {
  const std::string name = name_of(container->item.pod_sandbox_id(), container->item.metadata());
  // Records are loaded in the order of ids: a container that is half removed does not take the name
  // from the one that was created after it.
  if (container->phase == state::v1::CONTAINER_REMOVING) {
    container_names_.emplace(name, container->id());
  } else {
    container_names_[name] = container->id();
  }
  container->sandbox->container_ids.push_back(container->id());
  const std::string id = container->id();
  containers_[id] = std::move(container);
}

void Pods::remove(const Sandbox& sandbox) {
  release(sandbox_names_, name_of(sandbox.item.metadata()), sandbox.id());
  const std::string id = sandbox.id();
  sandboxes_.erase(id);
}

void Pods::remove(const Container& container) {
  std::vector<std::string>& siblings = container.sandbox->container_ids;
  siblings.erase(std::remove(siblings.begin(), siblings.end(), container.id()), siblings.end());
  release(container_names_, name_of(container.item.pod_sandbox_id(), container.item.metadata()),
          container.id());
  const std::string id = container.id();
  containers_.erase(id);
}

std::shared_ptr<Sandbox> new_sandbox(const state::v1::SandboxRecord& record) {
  auto sandbox = std::make_shared<Sandbox>();
  const ::runtime::v1::PodSandboxConfig& config = record.config();
  sandbox->item.set_id(record.id());
  *sandbox->item.mutable_metadata() = config.metadata();
  *sandbox->item.mutable_labels() = config.labels();
  *sandbox->item.mutable_annotations() = config.annotations();
  sandbox->item.set_runtime_handler(record.runtime_handler());
  sandbox->item.set_created_at(record.created_at());
  sandbox->phase = record.phase();
  sandbox->namespaces = namespaces_of(config);
  return sandbox;
}

std::shared_ptr<Container> new_container(const state::v1::ContainerRecord& record,
                                         std::shared_ptr<Sandbox> sandbox) {
  auto container = std::make_shared<Container>();
  container->item.set_id(record.id());
  container->item.set_pod_sandbox_id(record.sandbox_id());
  *container->item.mutable_metadata() = record.config().metadata();
  *container->item.mutable_image() = record.config().image();
  container->item.set_image_ref(record.image_ref());
  container->item.set_image_id(record.image_id());
  container->item.set_created_at(record.created_at());
  *container->item.mutable_labels() = record.config().labels();
  *container->item.mutable_annotations() = record.config().annotations();
  container->sandbox = std::move(sandbox);
  container->phase = record.phase();
  container->log_path = record.log_path();
  return container;
}

}  // namespace berth::cri
