// SPDX-License-Identifier: Apache-2.0
// The container half of the RuntimeService, one coroutine for each call and one file for each
// coroutine. The request outlives the task: it belongs to gRPC until the call is finished.
#pragma once

#include <memory>

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/state/records.h"

namespace berth::cri {

Task<runtime::v1::CreateContainerResponse> create_container(
    Node& node, const runtime::v1::CreateContainerRequest& request);
Task<runtime::v1::StartContainerResponse> start_container(
    Node& node, const runtime::v1::StartContainerRequest& request);
Task<runtime::v1::StopContainerResponse> stop_container(
    Node& node, const runtime::v1::StopContainerRequest& request);
Task<runtime::v1::RemoveContainerResponse> remove_container(
    Node& node, const runtime::v1::RemoveContainerRequest& request);
Task<runtime::v1::ListContainersResponse> list_containers(
    Node& node, const runtime::v1::ListContainersRequest& request);
Task<runtime::v1::ContainerStatusResponse> container_status(
    Node& node, const runtime::v1::ContainerStatusRequest& request);
Task<runtime::v1::ExecSyncResponse> exec_sync(Node& node,
                                              const runtime::v1::ExecSyncRequest& request);
Task<runtime::v1::ReopenContainerLogResponse> reopen_container_log(
    Node& node, const runtime::v1::ReopenContainerLogRequest& request);

// The parts that sandbox calls and the reconciler use too.
//
// SIGKILL for every process of the container. Does not wait.
Task<void> kill_container(Node& node, std::shared_ptr<Container> container);
// SIGKILL for every process in its cgroup. A failure is logged; it shows again when the cgroup
// cannot be removed.
Task<void> kill_cgroup(Node& node, std::shared_ptr<Container> container);
// Waits until the container has ended; returns at once when it does not run. deadline_exceeded
// after kill_ms_max.
Task<void> await_end(Node& node, std::shared_ptr<Container> container);
// Kills, waits, and removes everything of the container. Tolerates that parts are gone. The caller
// holds the sandbox's lock.
Task<void> remove_container_now(Node& node, std::shared_ptr<Container> container);
// Opens the log file again and gives it to the runtime handler. A container without a log: fine.
Task<void> reopen_log(Node& node, std::shared_ptr<Container> container);

runtime::v1::ContainerState state_of(const Container& container);
runtime::v1::ContainerStatus container_status_message(const Container& container,
                                                      const records::ContainerRecord& record);

// Writes the end of a container to its record and sets Container::ended.
Task<void> note_end(Node& node, std::shared_ptr<Container> container, plugins::Exit exit);
// Takes exits from one runtime handler for ever; ends only by cancellation.
Task<void> watch_exits(Node& node, plugins::RuntimeHandler& runtime);

}  // namespace berth::cri
