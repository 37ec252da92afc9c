// SPDX-License-Identifier: Apache-2.0
// Device nodes, the links that programs expect in /dev, and the terminal.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/mount.h"
#include "core/linux/openat2.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

namespace berth::container {
namespace {

constexpr decltype(statfs::f_type) kDevptsMagic = 0x1cd1;

void make_node(Child& child, int parent_fd, const char* name, const PlanDevice& device) noexcept {
  const char* path = child.plan->text(device.path);
  const dev_t number = ::makedev(device.major, device.minor);
  if (::mknodat(parent_fd, name, device.mode, number) != 0) {
    if (errno != EEXIST) fail(child, path);
    // A file of the image or of an earlier mount: kept if it is the same device, else replaced.
    struct stat info {};
    if (::fstatat(parent_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) fail(child, path);
    const bool same = info.st_rdev == number && (info.st_mode & S_IFMT) == (device.mode & S_IFMT);
    if (same) return;
    if (::unlinkat(parent_fd, name, 0) != 0 ||
        ::mknodat(parent_fd, name, device.mode, number) != 0) {
      fail(child, path);
    }
  }
  if (device.uid == 0 && device.gid == 0) return;
  if (::fchownat(parent_fd, name, device.uid, device.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    fail(child, path);
  }
}

void make_device(Child& child, const PlanDevice& device) noexcept {
  const char* path = child.plan->text(device.path);
  const char* const slash = ::strrchr(path, '/');
  char parent[PATH_MAX];
  const size_t length = slash == nullptr ? 0 : static_cast<size_t>(slash - path);
  if (slash == nullptr || slash[1] == '\0' || length >= sizeof parent) {
    errno = EINVAL;
    fail(child, path);
  }
  ::memcpy(parent, path, length);
  parent[length] = '\0';
  if (child.dev_fd >= 0 && ::strcmp(parent, "/dev") == 0) {
    make_node(child, child.dev_fd, slash + 1, device);
    return;
  }
  const int parent_fd = sys::mkdirs_in_root_raw(child.root_fd, parent, {});
  if (parent_fd < 0) fail(child, path);
  make_node(child, parent_fd, slash + 1, device);
  ::close(parent_fd);
}

// Only in a /dev of the container's own: a bind mount of the host's is left as it is.
bool has_own_dev(const Child& child) noexcept {
  bool own = false;
  for (const PlanMount& mount : child.plan->mounts()) {
    if (::strcmp(child.plan->text(mount.destination), "/dev") != 0) continue;
    own = ::strcmp(child.plan->text(mount.type), "tmpfs") == 0 && mount.fd < 0;
  }
  return own;
}

void make_links(Child& child) noexcept {
  constexpr struct {
    const char* target;
    const char* name;
  } kLinks[] = {{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                {"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"}};
  for (const auto& link : kLinks) {
    if (::symlinkat(link.target, child.dev_fd, link.name) != 0 && errno != EEXIST) {
      fail(child, link.name);
    }
  }
}

// A process of the container may have put anything at this path: it must be the master clone device
// of a devpts.
int open_master(Child& child) noexcept {
  const int fd = sys::openat2(child.root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0,
                              sys::kResolveInRoot);
  if (fd < 0) fail(child, "/dev/pts/ptmx");
  struct statfs filesystem {};
  struct stat info {};
  if (::fstatfs(fd, &filesystem) != 0 || ::fstat(fd, &info) != 0) fail(child, "/dev/pts/ptmx");
  if (filesystem.f_type != kDevptsMagic || !S_ISCHR(info.st_mode) ||
      info.st_rdev != ::makedev(5, 2)) {
    errno = ENOTTY;
    fail(child, "/dev/pts/ptmx is not a terminal multiplexer");
  }
  return fd;
}

void send_master(Child& child, int master_fd) noexcept {
  Report message;
  message.kind = ReportKind::terminal;
  message.step = child.step;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{&message, sizeof message};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* const passed = CMSG_FIRSTHDR(&header);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(sizeof(int));
  ::memcpy(CMSG_DATA(passed), &master_fd, sizeof master_fd);
  if (::sendmsg(child.channel, &header, MSG_NOSIGNAL) < 0) fail(child, "send the terminal");
}

// /dev/console is the container's first terminal.
void bind_console(Child& child) noexcept {
  if (child.plan->kind() != PlanKind::container || child.dev_fd < 0) return;
  constexpr int kFlags = O_CREAT | O_NOFOLLOW | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const int made = ::openat(child.dev_fd, "console", kFlags, 0666);
  if (made >= 0) ::close(made);
  const int place = ::openat(child.dev_fd, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (place < 0) fail(child, "/dev/console");
  const int tree = clone_tree(child.slave_fd, false);
  if (tree < 0 || attach(tree, place) != 0) fail(child, "/dev/console");
  ::close(tree);
  ::close(place);
}

void make_terminal(Child& child) noexcept {
  child.step = Step::terminal;
  const int master_fd = open_master(child);
  int locked = 0;
  if (::ioctl(master_fd, TIOCSPTLCK, &locked) != 0) fail(child, "unlock");
  // Opened through the master: a path could lead to another terminal.
  child.slave_fd = ::ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (child.slave_fd < 0) fail(child, "open the slave");
  const PlanHeader& header = child.plan->header();
  if (header.uid != 0 && ::fchown(child.slave_fd, header.uid, static_cast<gid_t>(-1)) != 0) {
    fail(child, "owner of the slave");
  }
  send_master(child, master_fd);
  ::close(master_fd);
  bind_console(child);
  for (int target = 0; target < 3; ++target) {
    if (::dup2(child.slave_fd, target) < 0) fail(child, "stdio");
  }
  ::close(child.slave_fd);
}

bool is_null_device(int fd) noexcept {
  struct stat info {};
  return fd >= 0 && ::fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) &&
         info.st_rdev == ::makedev(1, 3);
}

// Opens the container's /dev/null; -1 if it has none. A file of another kind is not opened.
int open_own_null(Child& child) noexcept {
  const int place = sys::openat2(child.root_fd, "/dev/null", O_PATH, 0, sys::kResolveInRoot);
  const bool is_null = is_null_device(place);
  if (place >= 0) ::close(place);
  if (!is_null) return -1;
  const int fd = sys::openat2(child.root_fd, "/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK, 0,
                              sys::kResolveInRoot);
  // A process of the container may have replaced the file meanwhile.
  if (is_null_device(fd)) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

// Makes a null device on a file system that ends with the last descriptor of this process.
int make_private_null() noexcept {
  const int context = ::fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  const bool made = ::fsconfig(context, FSCONFIG_SET_STRING, "size", "4k", 0) == 0 &&
                    ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  const int root = made ? ::fsmount(context, FSMOUNT_CLOEXEC, 0) : -1;
  ::close(context);
  if (root < 0) return -1;
  int fd = -1;
  if (::mknodat(root, "null", S_IFCHR | 0666, ::makedev(1, 3)) == 0) {
    fd = ::openat(root, "null", O_RDWR | O_CLOEXEC);
  }
  const int saved = errno;
  ::close(root);
  errno = saved;
  return fd;
}

// Opens a null device for streams without a descriptor of the caller. Not the host's /dev/null,
// whose mode and owner the container could change through /proc/self/fd.
void open_null_streams(Child& child) noexcept {
  child.step = Step::devices;
  const int given[] = {child.request->stdin_fd, child.request->stdout_fd, child.request->stderr_fd};
  int null_fd = -1;
  for (int target = 0; target < 3; ++target) {
    if (given[target] >= 0) continue;
    if (null_fd < 0) null_fd = open_own_null(child);
    if (null_fd < 0) null_fd = make_private_null();
    if (null_fd < 0 || ::dup2(null_fd, target) < 0) fail(child, "/dev/null");
  }
  if (null_fd > 2) ::close(null_fd);
}

}  // namespace

void make_devices(Child& child) noexcept {
  child.step = Step::devices;
  child.dev_fd = sys::openat2(child.root_fd, "/dev", O_PATH | O_DIRECTORY, 0, sys::kResolveInRoot);
  for (const PlanDevice& device : child.plan->devices()) make_device(child, device);
  if (child.dev_fd >= 0 && has_own_dev(child)) make_links(child);
}

void make_stdio(Child& child) noexcept {
  if (child.plan->has(kPlanTerminal)) {
    make_terminal(child);
  } else {
    open_null_streams(child);
  }
}

}  // namespace berth::container
