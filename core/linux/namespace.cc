// SPDX-License-Identifier: Apache-2.0
#include "core/linux/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "core/base/check.h"
#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

struct Kind {
  int flag;
  const char* name;
  UniqueFd NamespaceSet::*member;
};
constexpr std::array<Kind, 3> kKinds = {{{CLONE_NEWNET, "net", &NamespaceSet::netns},
                                         {CLONE_NEWIPC, "ipc", &NamespaceSet::ipc},
                                         {CLONE_NEWUTS, "uts", &NamespaceSet::uts}}};

const char* kind_name(int flag) {
  switch (flag) {
    case CLONE_NEWNET:
      return "net";
    case CLONE_NEWIPC:
      return "ipc";
    case CLONE_NEWUTS:
      return "uts";
    case CLONE_NEWNS:
      return "mnt";
    case CLONE_NEWPID:
      return "pid_for_children";
    case CLONE_NEWCGROUP:
      return "cgroup";
    default:
      return "user";
  }
}

Result<NamespaceSet> open_set(int flags) {
  NamespaceSet set;
  for (const Kind& kind : kKinds) {
    if ((flags & kind.flag) == 0) continue;
    TRY(set.*kind.member, open_own_namespace(kind.name));
  }
  return set;
}

void return_home(const NamespaceSet& home) {
  for (const Kind& kind : kKinds) {
    const UniqueFd& fd = home.*kind.member;
    if (fd.valid()) CHECK(::setns(fd.get(), kind.flag) == 0);
  }
}

}  // namespace

Result<UniqueFd> open_own_namespace(const std::string& kind) {
  return openat(AT_FDCWD, "/proc/thread-self/ns/" + kind, O_RDONLY);
}

Result<UniqueFd> open_namespace_of(pid_t pid, int pidfd, const std::string& kind) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int saved = errno;
  // A pidfd is readable once its process has ended. Until then no other process can have the pid.
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  if (pidfd < 0 || ::poll(&ended, 1, 0) != 0) {
    return make_error(Errc::not_found, "process " + std::to_string(pid) + " has ended");
  }
  if (!fd.valid()) return sys_error(saved, "open", path);
  return fd;
}

Status setns(int fd, int flags) {
  if (::setns(fd, flags) == 0) return {};
  return sys_error(errno, "setns");
}

Status unshare(int flags) {
  if (::unshare(flags) == 0) return {};
  return sys_error(errno, "unshare");
}

Result<NamespaceSet> make_namespaces(int flags) {
  CHECK((flags & ~(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)) == 0);
  TRY(const NamespaceSet home, open_set(flags));
  TRY_(unshare(flags));
  Result<NamespaceSet> made = open_set(flags);
  Status loopback;
  if ((flags & CLONE_NEWNET) != 0) loopback = bring_loopback_up();
  return_home(home);
  if (!loopback.ok()) return std::move(loopback).error();
  return made;
}

Result<NamespaceVisit> NamespaceVisit::enter(int fd, int flag) {
  TRY(UniqueFd home, open_own_namespace(kind_name(flag)));
  TRY_(setns(fd, flag));
  return NamespaceVisit(std::move(home), flag);
}

NamespaceVisit::~NamespaceVisit() {
  if (home_.valid()) CHECK(::setns(home_.get(), flag_) == 0);
}

Status bring_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return sys_error(errno, "socket", "lo");
  ifreq request{};
  ::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0) return {};
  return sys_error(errno, "SIOCSIFFLAGS", "lo");
}

Status set_hostname_in(int uts_fd, const std::string& hostname) {
  TRY(const NamespaceVisit visit, NamespaceVisit::enter(uts_fd, CLONE_NEWUTS));
  if (::sethostname(hostname.data(), hostname.size()) == 0) return {};
  return sys_error(errno, "sethostname", hostname);
}

}  // namespace berth::sys
