// SPDX-License-Identifier: Apache-2.0
// The container's file tree: root, mounts, masked and read-only paths. No host path is ever named:
// sources are descriptors or new filesystems, destinations are resolved inside the container's root
// without magic links, and a mount is attached to the descriptor that the resolution gave.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/mount.h"
#include "core/linux/openat2.h"

namespace berth::container {
namespace {

constexpr std::uint64_t kInRoot = sys::kResolveInRoot;

int open_path(Child& child, const char* path, std::uint64_t extra_resolve = 0) noexcept {
  return sys::openat2(child.root_fd, path, O_PATH, 0, kInRoot | extra_resolve);
}

// An empty file at `path` and the directories above it; an O_PATH descriptor, or -1 and errno.
int make_file(Child& child, const char* path) noexcept {
  char parent[PATH_MAX];
  const char* slash = ::strrchr(path, '/');
  const size_t length = slash == nullptr ? 0 : static_cast<size_t>(slash - path);
  if (length >= sizeof parent) {
    errno = ENAMETOOLONG;
    return -1;
  }
  ::memcpy(parent, path, length);
  parent[length] = '\0';
  const int parent_fd = sys::mkdirs_in_root_raw(child.root_fd, parent, {});
  if (parent_fd < 0) return -1;
  ::close(parent_fd);
  constexpr int kFlags = O_CREAT | O_RDONLY | O_NONBLOCK | O_NOCTTY;
  const int made = sys::openat2(child.root_fd, path, kFlags, 0644, kInRoot);
  if (made < 0) return -1;
  ::close(made);
  return open_path(child, path);
}

int open_destination(Child& child, const PlanMount& mount) noexcept {
  const char* path = child.plan->text(mount.destination);
  const char* type = child.plan->text(mount.type);
  // Programs trust what they read in /proc and /sys. A link there, made by the image, would put the
  // real thing elsewhere and the image's own files in its place.
  const bool trusted = ::strcmp(type, "proc") == 0 || ::strcmp(type, "sysfs") == 0;
  const int fd = open_path(child, path, trusted ? RESOLVE_NO_SYMLINKS : 0);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (mount.destination_is_file != 0) return make_file(child, path);
  return sys::mkdirs_in_root_raw(child.root_fd, path, {});
}

int prepare_given(Child& child, const PlanMount& mount) noexcept {
  const int fd = child.fd(mount.fd);
  if (mount.propagation != 0 || mount.recursive_flags != 0) {
    if (sys::mount_setattr_raw(fd, mount.recursive_flags, 0, mount.propagation, true) != 0) {
      return -1;
    }
  }
  if (mount.flags == 0) return fd;
  return sys::mount_setattr_raw(fd, mount.flags, 0, 0, false) == 0 ? fd : -1;
}

bool is_absent() noexcept {
  return errno == ENOENT || errno == ENOTDIR;
}

void mask(Child& child, const char* path, int path_fd, int null_fd) noexcept {
  struct stat info {};
  if (::fstat(path_fd, &info) != 0) fail(child, path);
  const bool is_directory = S_ISDIR(info.st_mode);
  if (!is_directory && null_fd < 0) {
    errno = ENOENT;
    fail(child, "/dev/null to mask files with");
  }
  if (is_directory && !child.empty_attached) {
    // KERNEL < 6.15: only a mount of this namespace can be cloned, so the first directory gets the
    // empty mount itself and the others clones of it.
    if (attach(child.empty_fd, path_fd) != 0) fail(child, path);
    child.empty_attached = true;
    return;
  }
  const int cover = clone_tree(is_directory ? child.empty_fd : null_fd, false);
  if (cover < 0 || attach(cover, path_fd) != 0) fail(child, path);
  ::close(cover);
}

void mask_paths(Child& child) noexcept {
  const auto paths = child.plan->texts(child.plan->header().masked_paths);
  if (paths.empty()) return;
  const int null_fd = open_path(child, "/dev/null");
  for (const PlanRef& ref : paths) {
    const char* path = child.plan->text(ref);
    const int path_fd = open_path(child, path);
    if (path_fd < 0 && is_absent()) continue;
    if (path_fd < 0) fail(child, path);
    mask(child, path, path_fd, null_fd);
    ::close(path_fd);
  }
  if (null_fd >= 0) ::close(null_fd);
}

void make_readonly(Child& child, const char* path) noexcept {
  const int path_fd = open_path(child, path);
  if (path_fd < 0 && is_absent()) return;
  if (path_fd < 0) fail(child, path);
  const int tree = clone_tree(path_fd, true);
  if (tree < 0 || sys::mount_setattr_raw(tree, MOUNT_ATTR_RDONLY, 0, 0, true) != 0 ||
      attach(tree, path_fd) != 0) {
    fail(child, path);
  }
  ::close(tree);
  ::close(path_fd);
}

// pivot_root(2), "pivot_root(".", ".")": the old root lands on top of the new one and is detached.
void leave_old_root(Child& child) noexcept {
  if (::syscall(SYS_pivot_root, ".", ".") != 0) fail(child, "pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) fail(child, "umount of the old root");
}

int mount_small_tmpfs() noexcept {
  const int context = ::fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  const bool made = ::fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) == 0 &&
                    ::fsconfig(context, FSCONFIG_SET_STRING, "nr_blocks", "1", 0) == 0 &&
                    ::fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) == 0 &&
                    ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  const int fd = made ? ::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY) : -1;
  ::close(context);
  return fd;
}

}  // namespace

int clone_tree(int fd, bool recursive) noexcept {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  return ::open_tree(fd, "", flags);
}

int attach(int mount_fd, int on_fd) noexcept {
  constexpr unsigned kFlags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return ::move_mount(mount_fd, "", on_fd, "", kFlags);
}

int mount_new(const PlanView& plan, const PlanMount& mount) noexcept {
  const int context = ::fsopen(plan.text(mount.type), FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int fd = -1;
  bool good = true;
  if (mount.source.count != 0) {
    good = ::fsconfig(context, FSCONFIG_SET_STRING, "source", plan.text(mount.source), 0) == 0;
  }
  for (const PlanOption& option : plan.options(mount)) {
    if (!good) break;
    const bool has_value = option.has_value != 0;
    good = ::fsconfig(context, has_value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
                      plan.text(option.key), has_value ? plan.text(option.value) : nullptr, 0) == 0;
  }
  good = good && ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  const std::uint64_t flags = mount.flags | mount.recursive_flags;
  if (good) fd = ::fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(flags));
  const int saved = errno;
  ::close(context);
  errno = saved;
  return fd;
}

// Before the pivot, while the keeper's directory can be named.
void take_empty_directory(Child& child) noexcept {
  child.step = Step::rootfs;
  const bool is_init = child.plan->kind() == PlanKind::pod_init;
  if (!is_init && child.plan->header().masked_paths.count == 0) return;
  const char* path = child.request->empty_dir;
  if (path == nullptr && child.request->bare_root) path = "/";
  if (path != nullptr) {
    child.empty_fd = ::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  } else {
    child.empty_fd = mount_small_tmpfs();
  }
  if (child.empty_fd < 0) fail(child, path != nullptr ? path : "empty directory");
}

// The container's root is attached over the root of this copy of the keeper's namespace. KERNEL:
// for setns(2) and for unshare(CLONE_NEWUSER) the root of a namespace is the topmost mount there,
// so after the chroot this process is no different from one on a machine that left its initramfs.
void enter_root(Child& child, int mount_fd) noexcept {
  child.step = Step::rootfs;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    fail(child, "private propagation");
  }
  if (::move_mount(mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    fail(child, "move_mount");
  }
  if (::fchdir(mount_fd) != 0) fail(child, "fchdir");
  if (!child.request->bare_root) {
    leave_old_root(child);
  } else if (::chroot(".") != 0) {
    fail(child, "chroot");
  }
  child.root_fd = mount_fd;
}

void make_mounts(Child& child) noexcept {
  child.step = Step::mounts;
  for (const PlanMount& mount : child.plan->mounts()) {
    const char* path = child.plan->text(mount.destination);
    const bool given = mount.fd >= 0;
    const int source = given ? prepare_given(child, mount) : mount_new(*child.plan, mount);
    if (source < 0) fail(child, path);
    const int destination = open_destination(child, mount);
    if (destination < 0) fail(child, path);
    if (attach(source, destination) != 0) fail(child, path);
    ::close(destination);
    // The number of a given one is the keeper's and may be read again from the plan.
    if (!given) ::close(source);
  }
}

void protect_paths(Child& child) noexcept {
  child.step = Step::paths;
  mask_paths(child);
  for (const PlanRef& ref : child.plan->texts(child.plan->header().readonly_paths)) {
    make_readonly(child, child.plan->text(ref));
  }
}

void enter_cwd(Child& child) noexcept {
  child.step = Step::cwd;
  const PlanHeader& header = child.plan->header();
  const char* path = child.plan->text(header.cwd);
  const bool is_container = child.plan->kind() == PlanKind::container;
  const int fd = is_container
                     ? sys::mkdirs_in_root_raw(child.root_fd, path, {0755, header.uid, header.gid})
                     : sys::openat2(child.root_fd, path, O_PATH | O_DIRECTORY, 0, kInRoot);
  if (fd < 0 || ::fchdir(fd) != 0) fail(child, path);
  ::close(fd);
  if (!child.plan->has(kPlanRootReadonly)) return;
  child.step = Step::rootfs;
  if (sys::mount_setattr_raw(child.root_fd, MOUNT_ATTR_RDONLY, 0, 0, false) != 0) {
    fail(child, "read-only root");
  }
}

}  // namespace berth::container
