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

int open_destination(Child& child, const PlanMount& mount) noexcept {
  const char* path = child.plan->text(mount.destination);
  const char* type = child.plan->text(mount.type);
  // Programs trust what they read in /proc and /sys. A link there, made by the image, would
  // redirect the mount and leave the image's own files in its place.
  const bool trusted = ::strcmp(type, "proc") == 0 || ::strcmp(type, "sysfs") == 0;
  const int fd = open_path(child, path, trusted ? RESOLVE_NO_SYMLINKS : 0);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (mount.destination_is_file != 0) {
    return sys::make_file_in_root_raw(child.root_fd, path, 0644);
  }
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

// A procfs shows the PID namespace of the process that makes it, and a stage is outside the
// container's.
int make_new(Child& child, const PlanMount& mount) noexcept {
  const bool is_proc = ::strcmp(child.plan->text(mount.type), "proc") == 0;
  if (is_proc && needs_stage(*child.plan)) return mount_joined_proc(child, mount);
  return mount_new(*child.plan, mount);
}

bool is_absent() noexcept {
  return errno == ENOENT || errno == ENOTDIR;
}

// KERNEL < 6.15: only a mount of this namespace can be cloned, so the first masked path gets the
// cover itself and the others clones of it. Proof: tests/kernel/detached_mount_attach_test.cc.
void mask(Child& child, const char* path, int path_fd) noexcept {
  struct stat info {};
  if (::fstat(path_fd, &info) != 0) fail(child, path);
  Child::Cover& cover = S_ISDIR(info.st_mode) ? child.empty_dir : child.empty_file;
  if (!cover.attached) {
    if (attach(cover.fd, path_fd) != 0) fail(child, path);
    cover.attached = true;
    return;
  }
  const int copy = clone_tree(cover.fd, false);
  if (copy < 0 || attach(copy, path_fd) != 0) fail(child, path);
  ::close(copy);
}

void mask_paths(Child& child) noexcept {
  for (const PlanRef& ref : child.plan->texts(child.plan->header().masked_paths)) {
    const char* path = child.plan->text(ref);
    const int path_fd = open_path(child, path);
    if (path_fd < 0 && is_absent()) continue;
    if (path_fd < 0) fail(child, path);
    mask(child, path, path_fd);
    ::close(path_fd);
  }
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

int take_cover(Child& child, const char* path) noexcept {
  const int fd = ::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) fail(child, path);
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

// Runs before the pivot, while the keeper's directory can be named.
void take_covers(Child& child) noexcept {
  child.step = Step::rootfs;
  const bool masks = child.plan->header().masked_paths.count != 0;
  if (masks || child.plan->kind() == PlanKind::pod_init) {
    child.empty_dir.fd = take_cover(child, child.request->empty_dir);
  }
  if (masks) child.empty_file.fd = take_cover(child, child.request->empty_file);
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
    const int source = given ? prepare_given(child, mount) : make_new(child, mount);
    if (source < 0) fail(child, path);
    const int destination = open_destination(child, mount);
    if (destination < 0) fail(child, path);
    if (attach(source, destination) != 0) fail(child, path);
    ::close(destination);
    // The number of a given one is the keeper's and may be read again from the plan.
    if (!given) ::close(source);
  }
}

// Read-only first, so that a mask is the last mount on its path and no clone is made above it.
void protect_paths(Child& child) noexcept {
  child.step = Step::paths;
  for (const PlanRef& ref : child.plan->texts(child.plan->header().readonly_paths)) {
    make_readonly(child, child.plan->text(ref));
  }
  mask_paths(child);
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
