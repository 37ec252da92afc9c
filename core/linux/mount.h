// SPDX-License-Identifier: Apache-2.0
// The file-descriptor based mount API. A mount is created detached and owned by a UniqueMount. It
// is never attached, or attached inside one container. fsopen(2), fsconfig(2), fsmount(2),
// open_tree(2), move_mount(2), mount_setattr(2).
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

#ifndef AT_RECURSIVE  // fcntl.h of glibc 2.36 lacks it
#define AT_RECURSIVE 0x8000
#endif

namespace berth::sys {

// Owns a detached mount tree. Closing the last descriptor of a tree that was never attached
// unmounts it (fsmount(2)). After move_mount the descriptor refers to the attached mount, and
// closing it does not unmount.
class UniqueMount {
 public:
  UniqueMount() = default;
  explicit UniqueMount(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  int get() const noexcept { return fd_.get(); }
  bool valid() const noexcept { return fd_.valid(); }
  // Transfers ownership of the descriptor to the caller.
  [[nodiscard]] UniqueFd release() noexcept { return std::move(fd_); }

 private:
  UniqueFd fd_;
};

// A filesystem context (fsopen(2)). Errors of fsconfig and create contain the message of the
// filesystem if it left one ("overlay: workdir and upperdir must reside under the same mount").
class FsContext {
 public:
  static Result<FsContext> open(const std::string& type);

  Status set_string(const std::string& key, const std::string& value);
  Status set_flag(const std::string& key);
  // FSCONFIG_SET_FD: the value of `key` is the open file `fd`.
  Status set_fd(const std::string& key, int fd);
  Status create();
  // `attributes` are MOUNT_ATTR_*. Call create first.
  Result<UniqueMount> mount(std::uint64_t attributes = 0);
  int get() const noexcept { return fd_.get(); }

 private:
  FsContext(UniqueFd fd, std::string type) : fd_(std::move(fd)), type_(std::move(type)) {}
  Error config_error(int sys_errno, const std::string& key);

  UniqueFd fd_;
  std::string type_;
};

// Creates a detached mount of any filesystem with fsopen(2) and fsmount(2). `data` has the options,
// separated by commas ("mode=755,size=64k").
Result<UniqueMount> mount_filesystem(const std::string& type, std::string_view data = {},
                                     std::uint64_t attributes = 0);

// Clones the mount at `path` (a directory or a file), with the mounts below it if `recursive`. An
// empty path means `dirfd` itself. Relative to a `dirfd`, the last component is not followed if it
// is a symbolic link.
Result<UniqueMount> open_tree_clone(int dirfd, const std::string& path, bool recursive);

// Attaches `from_fd` on `path` (empty: on `dirfd` itself, which may be O_PATH).
Status move_mount(int from_fd, int dirfd, const std::string& path);

struct MountAttributes {
  std::uint64_t set = 0;          // MOUNT_ATTR_*
  std::uint64_t clear = 0;        // MOUNT_ATTR_*
  std::uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE or 0: unchanged
  bool recursive = false;
};
Status mount_setattr(int mount_fd, const MountAttributes& attributes);

// The system call on the mount `mount_fd` with a libc-style result; usable between clone and exec.
// If `set` contains an access time mode, MOUNT_ATTR__ATIME is also cleared, as the kernel requires.
inline int mount_setattr_raw(int mount_fd, std::uint64_t set, std::uint64_t clear,
                             std::uint64_t propagation, bool recursive) noexcept {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  if ((set & MOUNT_ATTR__ATIME) != 0) attributes.attr_clr |= MOUNT_ATTR__ATIME;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, mount_fd, "", flags, &attributes, sizeof attributes));
}

}  // namespace berth::sys
