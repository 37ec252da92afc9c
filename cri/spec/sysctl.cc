// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/sysctl.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cri/field.h"

namespace berth::cri {

namespace {

// ipc_namespaces(7).
constexpr std::array<std::string_view, 11> kIpcNames = {
    "kernel/msgmax",      "kernel/msgmnb",      "kernel/msgmni",     "kernel/sem",
    "kernel/shmall",      "kernel/shmmax",      "kernel/shmmni",     "kernel/shm_rmid_forced",
    "kernel/msg_next_id", "kernel/sem_next_id", "kernel/shm_next_id"};

std::string to_path(const std::string& name) {
  std::string path = name;
  const std::size_t first = path.find_first_of("./");
  if (first == std::string::npos || path[first] == '/') return path;
  for (char& c : path) {
    if (c == '.') {
      c = '/';
    } else if (c == '/') {
      c = '.';
    }
  }
  return path;
}

bool is_well_formed(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return path.find('\0') == std::string_view::npos;
}

}  // namespace

Result<std::string> sysctl_path(const std::string& field, const std::string& name,
                                const plugins::SandboxNamespaces& namespaces) {
  std::string path = to_path(name);
  if (!is_well_formed(path)) return invalid_field(field, "is no sysctl name");
  bool shares_host = false;
  if (path.starts_with("net/")) {
    shares_host = !namespaces.network;
  } else if (path.starts_with("fs/mqueue/") ||
             std::find(kIpcNames.begin(), kIpcNames.end(), path) != kIpcNames.end()) {
    shares_host = !namespaces.ipc;
  } else if (path == "kernel/domainname") {
    shares_host = !namespaces.uts;
  } else {
    return invalid_field(field, "is not a namespaced sysctl");
  }
  if (shares_host) {
    return invalid_field(field, "would change the host: the pod uses the host's namespace");
  }
  return path;
}

}  // namespace berth::cri
