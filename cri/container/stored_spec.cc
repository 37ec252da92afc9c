// SPDX-License-Identifier: Apache-2.0
#include "cri/container/stored_spec.h"

#include <sys/resource.h>

#include <utility>

#include "core/linux/capability.h"
#include "core/ring/with_deadline.h"
#include "cri/container/sources.h"
#include "cri/spec/capabilities.h"
#include "cri/spec/spec.h"
#include "cri/state/spec_record.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

std::uint64_t open_files_max() {
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  return own.rlim_max;
}

oci::Process recorded_process(oci::Process process, const records::ContainerRecord& record) {
  process.user.uid = record.uid();
  process.user.gid = record.gid();
  process.user.additional_gids.assign(record.groups().begin(), record.groups().end());
  process.args.assign(record.args().begin(), record.args().end());
  process.env.assign(record.env().begin(), record.env().end());
  process.cwd = record.working_dir();
  return process;
}

void clear_recorded_process(records::ContainerRecord& record) {
  record.clear_uid();
  record.clear_gid();
  record.clear_groups();
  record.clear_args();
  record.clear_env();
  record.clear_working_dir();
}

}  // namespace

Task<oci::Spec> resolve_spec(Node& node, std::shared_ptr<Container> container,
                             const records::ContainerRecord& record) {
  const v1::LinuxContainerSecurityContext& security = record.config().linux().security_context();
  const Handler* const handler = co_await node.handlers.find(container->sandbox->handler());
  const std::uint64_t available = co_await sys::capability_permitted();
  SpecInput input{.config = record.config()};
  input.namespaces = container->sandbox->namespaces;
  input.capabilities = co_await capabilities_of(security, available);
  input.open_files_max = open_files_max();
  input.pids_limit = handler->pids_limit;
  input.cgroups_path = record.sandbox_id() + "/" + record.id();
  input.seccomp = co_await node.sources.seccomp_of(security, input.capabilities.bounding);
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  input.devices =
      co_await with_deadline(node.ring, deadline, node.sources.find_devices(record.config()));
  oci::Spec spec = co_await spec_of(std::move(input));
  co_return spec;
}

Status store_spec(Node& node, const oci::Spec& spec, records::ContainerRecord& record) {
  TRY(const std::string key, node.seccomp_table.save(node.state, spec.linux.seccomp));
  *record.mutable_spec() = records::stored_spec(spec);
  record.mutable_spec()->set_seccomp_digest(key);
  return {};
}

Task<oci::Spec> load_spec(Node& node, std::shared_ptr<Container> container,
                          records::ContainerRecord& record) {
  if (record.has_spec()) {
    oci::Spec spec = records::loaded_spec(record.spec());
    spec.linux.seccomp =
        co_await node.seccomp_table.load(node.state, record.spec().seccomp_digest());
    co_return spec;
  }
  oci::Spec spec = co_await resolve_spec(node, container, record);
  spec.process = recorded_process(std::move(spec.process), record);
  co_await store_spec(node, spec, record);
  clear_recorded_process(record);
  co_return spec;
}

}  // namespace berth::cri
