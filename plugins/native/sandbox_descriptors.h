// SPDX-License-Identifier: Apache-2.0
// The descriptors of one sandbox, and the key under which the keeper holds them:
// "SANDBOX_ID:niupfgh", one letter for each descriptor in the order in which they are held.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/oci/spec.h"
#include "plugins/api/runtime_handler.h"

namespace berth::native {

constexpr std::size_t kKeptMax = 3;  // descriptors of the caller

struct SandboxDescriptors {
  UniqueFd net, ipc, uts, pid;
  std::vector<UniqueFd> kept;
};

std::string held_key(std::string_view sandbox_id, const SandboxDescriptors& descriptors);
// Duplicates in the order of the key's letters.
Result<std::vector<UniqueFd>> held_copies(const SandboxDescriptors& descriptors);
// Empty when `key` is none of a sandbox.
std::string sandbox_of_key(std::string_view key);
SandboxDescriptors descriptors_of_key(std::string_view key, std::vector<UniqueFd> fds);

// The namespace of a type; null for one that sandboxes do not share.
const UniqueFd* namespace_of(const SandboxDescriptors& descriptors, oci::NamespaceType type);
// "net": its file below /proc/PID/ns; empty for the same.
std::string namespace_file(oci::NamespaceType type);
// "network namespace": the first of `shared` that has no descriptor. Empty: all are there.
std::string missing_namespace(const SandboxDescriptors& descriptors,
                              const plugins::SandboxNamespaces& shared);
// Opens those that are missing through a process that lives in them. What cannot be opened stays
// missing.
struct NamespaceSource {
  pid_t pid = 0;
  int pidfd = -1;  // borrowed
};
void regain_namespaces(SandboxDescriptors& descriptors, const plugins::SandboxNamespaces& shared,
                       const NamespaceSource& process);

}  // namespace berth::native
