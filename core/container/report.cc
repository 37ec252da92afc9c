// SPDX-License-Identifier: Apache-2.0
#include "core/container/report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::container {

const char* step_name(Step step) noexcept {
  switch (step) {
    case Step::prepare:
      return "prepare";
    case Step::clone:
      return "clone3";
    case Step::cgroup:
      return "cgroup";
    case Step::namespaces:
      return "namespaces";
    case Step::rootfs:
      return "rootfs";
    case Step::mounts:
      return "mounts";
    case Step::devices:
      return "devices";
    case Step::terminal:
      return "terminal";
    case Step::paths:
      return "masked and readonly paths";
    case Step::sysctl:
      return "sysctl";
    case Step::cwd:
      return "working directory";
    case Step::rlimits:
      return "rlimits";
    case Step::identity:
      return "user and capabilities";
    case Step::seccomp:
      return "seccomp";
    case Step::exec:
      return "exec";
  }
  return "unknown step";
}

const char* stage_name(Stage stage) noexcept {
  switch (stage) {
    case kStageStarted:
      return "child";
    case kStagePlaced:
      return "placed";
    case kStageRootfs:
      return "rootfs";
    case kStageMounts:
      return "mounts";
    case kStageFurnished:
      return "devices";
    case kStageReady:
      return "ready";
  }
  return "unknown stage";
}

ReadReport read_report(int channel, Report* report, int* passed_fd) noexcept {
  *passed_fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{report, sizeof *report};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = -1;
  do {
    length = ::recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return errno == EAGAIN ? ReadReport::nothing_yet : ReadReport::broken;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    ::memcpy(passed_fd, CMSG_DATA(header), sizeof *passed_fd);
  }
  if (length == 0) return ReadReport::end_of_file;
  if (length != sizeof *report) return ReadReport::broken;
  report->detail[sizeof report->detail - 1] = '\0';
  return ReadReport::message;
}

}  // namespace berth::container
