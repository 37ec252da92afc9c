// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/sandbox_descriptors.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

#include "core/linux/namespace.h"

namespace berth::native {
namespace {

struct Part {
  char letter;
  UniqueFd SandboxDescriptors::*fd;
  bool plugins::SandboxNamespaces::*shared;
  oci::NamespaceType type;
  const char* file;  // below /proc/PID/ns
  const char* name;
};

constexpr Part kParts[] = {{'n', &SandboxDescriptors::net, &plugins::SandboxNamespaces::network,
                            oci::NamespaceType::network, "net", "network namespace"},
                           {'i', &SandboxDescriptors::ipc, &plugins::SandboxNamespaces::ipc,
                            oci::NamespaceType::ipc, "ipc", "ipc namespace"},
                           {'u', &SandboxDescriptors::uts, &plugins::SandboxNamespaces::uts,
                            oci::NamespaceType::uts, "uts", "uts namespace"},
                           {'p', &SandboxDescriptors::pid, &plugins::SandboxNamespaces::pid,
                            oci::NamespaceType::pid, "pid", "pid namespace"}};
// Of the caller's descriptors, by index.
constexpr std::string_view kKeptLetters = "fgh";
static_assert(kKeptLetters.size() == kKeptMax);

}  // namespace

std::string held_key(std::string_view sandbox_id, const SandboxDescriptors& descriptors) {
  std::string key(sandbox_id);
  key += ':';
  for (const Part& part : kParts) {
    if ((descriptors.*part.fd).valid()) key += part.letter;
  }
  key += kKeptLetters.substr(0, descriptors.kept.size());
  return key;
}

Result<std::vector<UniqueFd>> held_copies(const SandboxDescriptors& descriptors) {
  std::vector<int> numbers;
  for (const Part& part : kParts) {
    if ((descriptors.*part.fd).valid()) numbers.push_back((descriptors.*part.fd).get());
  }
  for (const UniqueFd& fd : descriptors.kept) numbers.push_back(fd.get());
  std::vector<UniqueFd> copies;
  for (const int number : numbers) {
    UniqueFd copy(::fcntl(number, F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return sys_error(errno, "fcntl F_DUPFD_CLOEXEC");
    copies.push_back(std::move(copy));
  }
  return copies;
}

std::string sandbox_of_key(std::string_view key) {
  const std::size_t colon = key.find(':');
  return colon == std::string_view::npos ? std::string() : std::string(key.substr(0, colon));
}

SandboxDescriptors descriptors_of_key(std::string_view key, std::vector<UniqueFd> fds) {
  SandboxDescriptors descriptors;
  const std::string_view letters = key.substr(key.find(':') + 1);
  for (std::size_t i = 0; i < letters.size() && i < fds.size(); ++i) {
    // A letter that is not known is another version's.
    for (const Part& part : kParts) {
      if (part.letter == letters[i]) descriptors.*part.fd = std::move(fds[i]);
    }
    if (kKeptLetters.find(letters[i]) != std::string_view::npos) {
      descriptors.kept.push_back(std::move(fds[i]));
    }
  }
  return descriptors;
}

const UniqueFd* namespace_of(const SandboxDescriptors& descriptors, oci::NamespaceType type) {
  for (const Part& part : kParts) {
    if (part.type == type) return &(descriptors.*part.fd);
  }
  return nullptr;
}

std::string namespace_file(oci::NamespaceType type) {
  for (const Part& part : kParts) {
    if (part.type == type) return part.file;
  }
  return {};
}

std::string missing_namespace(const SandboxDescriptors& descriptors,
                              const plugins::SandboxNamespaces& shared) {
  for (const Part& part : kParts) {
    if (shared.*part.shared && !(descriptors.*part.fd).valid()) return part.name;
  }
  return {};
}

void regain_namespaces(SandboxDescriptors& descriptors, const plugins::SandboxNamespaces& shared,
                       const NamespaceSource& process) {
  for (const Part& part : kParts) {
    UniqueFd& fd = descriptors.*part.fd;
    if (!(shared.*part.shared) || fd.valid()) continue;
    Result<UniqueFd> opened = sys::open_namespace_of(process.pid, process.pidfd, part.file);
    if (opened.ok()) fd = std::move(*opened);
  }
}

}  // namespace berth::native
