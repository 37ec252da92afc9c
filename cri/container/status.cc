// SPDX-License-Identifier: Apache-2.0
// CRI: "ContainerStatus returns status of the container. If the container is not present, returns
// an error." `mounts` lists the mounts of the request, not those that the runtime adds.
#include "cri/container/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// Of the specification; the record of an agent before it has the user itself.
void set_user(v1::LinuxContainerUser& user, const records::ContainerRecord& record) {
  const bool has_spec = record.has_spec();
  const state::v1::SpecUser& of_spec = record.spec().process().user();
  user.set_uid(has_spec ? of_spec.uid() : record.uid());
  user.set_gid(has_spec ? of_spec.gid() : record.gid());
  for (const std::uint32_t group : has_spec ? of_spec.additional_gids() : record.groups()) {
    user.add_supplemental_groups(group);
  }
}

}  // namespace

v1::ContainerStatus container_status_message(const Container& container,
                                             const records::ContainerRecord& record) {
  v1::ContainerStatus status;
  status.set_id(container.id());
  *status.mutable_metadata() = container.item.metadata();
  status.set_state(state_of(container));
  status.set_created_at(record.created_at());
  status.set_started_at(record.started_at());
  status.set_finished_at(record.finished_at());
  status.set_exit_code(record.exit_code());
  *status.mutable_image() = record.config().image();
  status.set_image_ref(record.image_ref());
  status.set_image_id(record.image_id());
  status.set_reason(record.reason());
  status.set_message(record.message());
  *status.mutable_labels() = record.config().labels();
  *status.mutable_annotations() = record.config().annotations();
  *status.mutable_mounts() = record.config().mounts();
  status.set_log_path(record.log_path());
  if (record.config().linux().has_resources()) {
    *status.mutable_resources()->mutable_linux() = record.config().linux().resources();
  }
  set_user(*status.mutable_user()->mutable_linux(), record);
  v1::Signal signal = v1::Signal::SIGNAL_RUNTIME_DEFAULT;
  if (v1::Signal_Parse("SIGNAL_" + record.stop_signal(), &signal)) status.set_stop_signal(signal);
  return status;
}

Task<v1::ContainerStatusResponse> container_status(Node& node,
                                                   const v1::ContainerStatusRequest& request) {
  const std::shared_ptr<Container> container =
      co_await node.pods.need_container("container_id", request.container_id());
  const records::ContainerRecord record =
      co_await records::load_container(node.state, container->id());
  v1::ContainerStatusResponse response;
  *response.mutable_status() = container_status_message(*container, record);
  if (request.verbose()) {
    auto& info = *response.mutable_info();
    info["stages"] = stages_json({container->create_stages.get(), container->start_stages.get()});
    info["pid"] = std::to_string(container->pid);
    info["sandboxID"] = container->item.pod_sandbox_id();
  }
  co_return response;
}

}  // namespace berth::cri
