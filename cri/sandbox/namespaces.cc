// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "core/linux/namespace.h"
#include "core/ring/offload.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// The order and the letters of a held name.
struct HeldSlot {
  char letter;
  UniqueFd PodNamespaces::*fd;
};
constexpr HeldSlot kHeldSlots[] = {{'n', &PodNamespaces::net},
                                   {'i', &PodNamespaces::ipc},
                                   {'u', &PodNamespaces::uts},
                                   {'p', &PodNamespaces::pid},
                                   {'f', &PodNamespaces::tmpfs}};

Status enter(int fd, int flag, const char* what) {
  if (fd >= 0 && ::setns(fd, flag) != 0) return sys_error(errno, "setns", what);
  return {};
}

Status write_sysctl(const std::string& name, const std::string& value) {
  std::string path = "/proc/sys/" + name;
  std::replace(path.begin() + sizeof "/proc/sys/" - 1, path.end(), '.', '/');
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string field = "config.linux.sysctls[" + name + "]";
  if (!file.valid()) {
    Error error = sys_error(errno, "open", path);
    if (error.sys_errno == ENOENT) error.code = Errc::invalid_argument;
    return std::move(error).with(field);
  }
  if (::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return sys_error(errno, "write", path).with(field);
  }
  return {};
}

struct Configuration {
  int net = -1;
  int ipc = -1;
  int uts = -1;
  std::string hostname;
  std::map<std::string, std::string> sysctls;
};

Status configure_here(const Configuration& wanted) {
  TRY_(enter(wanted.uts, CLONE_NEWUTS, "the pod's uts namespace"));
  if (wanted.uts >= 0 && ::sethostname(wanted.hostname.data(), wanted.hostname.size()) != 0) {
    return sys_error(errno, "sethostname", wanted.hostname);
  }
  if (wanted.sysctls.empty()) return {};
  TRY_(enter(wanted.ipc, CLONE_NEWIPC, "the pod's ipc namespace"));
  TRY_(enter(wanted.net, CLONE_NEWNET, "the pod's network namespace"));
  for (const auto& [name, value] : wanted.sysctls) TRY_(write_sysctl(name, value));
  return {};
}

// A thread that entered a namespace is of no further use, so it is a thread of its own that ends.
Result<int> configure_apart(const Configuration& wanted) {
  Status outcome;
  std::thread thread([&]() { outcome = configure_here(wanted); });
  thread.join();
  TRY_(std::move(outcome));
  return 0;
}

}  // namespace

NamespaceWish NamespaceWish::of(const v1::PodSandboxConfig& config) {
  const v1::NamespaceOption& options = config.linux().security_context().namespace_options();
  NamespaceWish wish;
  wish.net = options.network() != v1::NamespaceMode::NODE;
  wish.uts = wish.net;
  wish.ipc = options.ipc() != v1::NamespaceMode::NODE;
  wish.shared_pid = options.pid() == v1::NamespaceMode::POD;
  return wish;
}

Status check_complete(const std::string& pod_id, const PodNamespaces& namespaces,
                      const NamespaceWish& wish) {
  const struct {
    bool wished;
    const UniqueFd& fd;
    const char* name;
  } parts[] = {{wish.net, namespaces.net, "network namespace"},
               {wish.ipc, namespaces.ipc, "ipc namespace"},
               {true, namespaces.tmpfs, "tmpfs"},
               {wish.uts, namespaces.uts, "uts namespace"},
               {wish.shared_pid, namespaces.pid, "pid namespace"}};
  for (const auto& part : parts) {
    if (!part.wished || part.fd.valid()) continue;
    return make_error(Errc::failed_precondition,
                      "sandbox `" + pod_id + "` has lost its " + part.name);
  }
  return {};
}

std::string hostname_of(const v1::PodSandboxConfig& config) {
  constexpr std::size_t kHostnameBytesMax = 64;
  const std::string& name =
      config.hostname().empty() ? config.metadata().name() : config.hostname();
  return name.substr(0, kHostnameBytesMax);
}

Task<void> configure_namespaces(Node& node, const PodNamespaces& namespaces,
                                const v1::PodSandboxConfig& config) {
  Configuration wanted;
  wanted.net = namespaces.net.get();
  wanted.ipc = namespaces.ipc.get();
  wanted.uts = namespaces.uts.get();
  wanted.hostname = hostname_of(config);
  wanted.sysctls = {config.linux().sysctls().begin(), config.linux().sysctls().end()};
  if (wanted.sysctls.empty()) {
    // A visit of the loop's own thread takes microseconds, another thread a hundred times that.
    if (wanted.uts >= 0) co_await sys::set_hostname_in(wanted.uts, wanted.hostname);
    co_return;
  }
  std::function<Result<int>()> work = [wanted]() { return configure_apart(wanted); };
  co_await offload(node.ring, std::move(work));
}

std::string held_name(const std::string& pod_id, const PodNamespaces& namespaces) {
  std::string letters;
  for (const HeldSlot& slot : kHeldSlots) {
    if ((namespaces.*slot.fd).valid()) letters += slot.letter;
  }
  return pod_id + ":" + letters;
}

std::string pod_of_held(const std::string& name) {
  const std::size_t colon = name.find(':');
  return colon == std::string::npos ? std::string() : name.substr(0, colon);
}

Task<void> hold_namespaces(Node& node, const std::string& pod_id, const PodNamespaces& namespaces) {
  std::vector<UniqueFd> fds;
  for (const HeldSlot& slot : kHeldSlots) {
    const UniqueFd& fd = namespaces.*slot.fd;
    if (!fd.valid()) continue;
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) co_await fail(sys_error(errno, "fcntl F_DUPFD_CLOEXEC", pod_id));
    fds.push_back(std::move(copy));
  }
  if (fds.empty()) co_return;
  const Deadline deadline = Deadline::after_ms(kKeeperMsMax);
  co_await node.keeper.hold(held_name(pod_id, namespaces), std::move(fds), deadline);
}

Task<void> drop_namespaces(Node& node, const std::string& pod_id) {
  for (const std::string& key : node.keeper.held_keys()) {
    if (pod_of_held(key) != pod_id) continue;
    co_await node.keeper.drop(key, Deadline::after_ms(kKeeperMsMax));
  }
}

PodNamespaces namespaces_of_held(const std::string& name, std::vector<UniqueFd> fds) {
  PodNamespaces namespaces;
  std::size_t next = 0;
  const std::size_t colon = name.find(':');
  for (const char letter : name.substr(colon + 1)) {
    if (next == fds.size()) break;
    for (const HeldSlot& slot : kHeldSlots) {
      if (slot.letter == letter) namespaces.*slot.fd = std::move(fds[next]);
    }
    ++next;  // also of a letter that is not known: another version's
  }
  return namespaces;
}

}  // namespace berth::cri
