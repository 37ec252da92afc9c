// SPDX-License-Identifier: Apache-2.0
#include "core/container/sysctl.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace berth::container {
namespace {

// ipc_namespaces(7).
constexpr std::array<std::string_view, 11> kIpcNames = {
    "kernel/msgmax",      "kernel/msgmnb",      "kernel/msgmni",     "kernel/sem",
    "kernel/shmall",      "kernel/shmmax",      "kernel/shmmni",     "kernel/shm_rmid_forced",
    "kernel/msg_next_id", "kernel/sem_next_id", "kernel/shm_next_id"};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

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

Result<std::string> sysctl_path(const std::string& name, const oci::Namespaces& namespaces) {
  const auto refuse = [&name](const char* why) {
    return make_error(Errc::invalid_argument, "sysctl `" + name + "` " + why);
  };
  std::string path = to_path(name);
  if (!is_well_formed(path)) return refuse("is not a name");
  const bool is_ipc = starts_with(path, "fs/mqueue/") ||
                      std::find(kIpcNames.begin(), kIpcNames.end(), path) != kIpcNames.end();
  const oci::Namespace* owner = nullptr;
  if (starts_with(path, "net/")) owner = &namespaces.network;
  if (is_ipc) owner = &namespaces.ipc;
  if (path == "kernel/domainname") owner = &namespaces.uts;
  if (owner == nullptr) return refuse("does not belong to a namespace");
  if (owner->mode == oci::Namespace::Mode::host) return refuse("would change the host's");
  return path;
}

}  // namespace berth::container
