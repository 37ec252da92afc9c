// SPDX-License-Identifier: Apache-2.0
// Namespaces as descriptors. unshare(2), setns(2), namespaces(7).
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

// What a pod owns. A member is not valid when its flag was not asked for.
struct NamespaceSet {
  UniqueFd netns;
  UniqueFd ipc;
  UniqueFd uts;
};

// Fresh namespaces for `flags` (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), loopback up in the
// network one. The calling thread goes into each and comes back, so call it on a thread that nobody
// else depends on meanwhile (an offload thread); takes about 0.5 ms. If the thread cannot come back
// the program aborts: going on in a stranger's namespace would be worse.
Result<NamespaceSet> make_namespaces(int flags);

// The calling thread's own: "net", "ipc", "uts", "mnt", "pid", "cgroup", "user".
Result<UniqueFd> open_own_namespace(const std::string& kind);
// One of another process, which `pidfd` keeps from being taken for a later one of the same number.
// not_found: it has ended.
Result<UniqueFd> open_namespace_of(pid_t pid, int pidfd, const std::string& kind);
// setns(2); `flags` is one CLONE_NEW*, or several when `fd` is a pidfd (Linux 5.8).
Status setns(int fd, int flags);
Status unshare(int flags);

// Enters `fd` for the life of the object and returns to where the thread was. For one namespace
// kind.
class NamespaceVisit {
 public:
  static Result<NamespaceVisit> enter(int fd, int flag);
  NamespaceVisit(NamespaceVisit&& other) noexcept = default;
  NamespaceVisit& operator=(NamespaceVisit&&) = delete;
  ~NamespaceVisit();

 private:
  NamespaceVisit(UniqueFd home, int flag) : home_(std::move(home)), flag_(flag) {}

  UniqueFd home_;
  int flag_;
};

// Loopback of the calling thread's network namespace.
Status bring_loopback_up();
// sethostname(2) in the UTS namespace `uts_fd`, by a visit of the calling thread.
Status set_hostname_in(int uts_fd, const std::string& hostname);

}  // namespace berth::sys
