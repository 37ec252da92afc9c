// SPDX-License-Identifier: Apache-2.0
// Namespaces as descriptors. unshare(2), setns(2), namespaces(7).
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

// The namespaces of a pod. A member is not valid() if its flag was not requested.
struct NamespaceSet {
  UniqueFd netns;
  UniqueFd ipc;
  UniqueFd uts;
};

// Creates new namespaces for `flags` (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), with loopback up
// in the network namespace. The calling thread enters the new namespaces and returns to its own, so
// call it on a thread that runs nothing else meanwhile (an offload thread). Takes about 0.5 ms. If
// the thread cannot return, the program aborts, because it must not continue in another namespace.
Result<NamespaceSet> make_namespaces(int flags);

// Opens a namespace of the calling thread: "net", "ipc", "uts", "mnt", "pid", "cgroup", "user".
Result<UniqueFd> open_own_namespace(const std::string& kind);
// Opens a namespace of another process. `pidfd` refers to the process and detects that `pid` was
// reused. not_found: the process has ended.
Result<UniqueFd> open_namespace_of(pid_t pid, int pidfd, const std::string& kind);
// setns(2); `flags` is one CLONE_NEW*, or several when `fd` is a pidfd (Linux 5.8).
Status setns(int fd, int flags);
Status unshare(int flags);

// The calling thread is in the namespace `fd` while the object exists, and then returns to its
// previous namespace of that kind.
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

// Brings up the loopback device in the calling thread's network namespace.
Status bring_loopback_up();
// sethostname(2) in the UTS namespace `uts_fd`, which the calling thread enters for the call.
Status set_hostname_in(int uts_fd, const std::string& hostname);

}  // namespace berth::sys
