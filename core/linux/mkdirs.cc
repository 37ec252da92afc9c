// SPDX-License-Identifier: Apache-2.0
// Makes missing directories and files of a path. A separate object file, so that the keeper's child
// links it without the rest of the room.
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's own limit, path_resolution(7)
constexpr int kIsLink = -2;

// A path of limited size without heap allocation.
struct PathBuffer {
  char text[PATH_MAX];

  bool assign(const char* from) noexcept { return copy(text, from); }

  static bool copy(char* to, const char* from) noexcept {
    const size_t length = ::strlen(from);
    if (length >= PATH_MAX) return false;
    ::memcpy(to, from, length + 1);
    return true;
  }
};

int open_directory(int root_fd, const char* path) noexcept {
  return openat2(root_fd, path, O_PATH | O_DIRECTORY, 0, kResolveInRoot);
}

// Replaces a link in `path` by its target: `parent`/`target`/`rest`, or `target`/`rest` if `target`
// is absolute. False: the result is too long.
bool follow(PathBuffer* path, const char* parent, const char* target, const char* rest) noexcept {
  PathBuffer next;
  const char* before = target[0] == '/' ? "" : parent;
  const size_t sizes[] = {::strlen(before), ::strlen(target), ::strlen(rest)};
  if (sizes[0] + sizes[1] + sizes[2] + 3 > sizeof next.text) return false;
  char* end = next.text;
  const char* parts[] = {before, target, rest};
  for (int i = 0; i < 3; ++i) {
    if (sizes[i] == 0) continue;
    if (end != next.text) *end++ = '/';
    ::memcpy(end, parts[i], sizes[i]);
    end += sizes[i];
  }
  *end = '\0';
  return path->assign(next.text);
}

// Makes the directory `name` in `parent_fd`. Returns 0: it was made or exists; 1: it is a link to a
// missing target, which is stored in `target`; -1 and errno: failure.
int make_one(int parent_fd, const char* name, const MkdirOptions& options,
             PathBuffer* target) noexcept {
  if (::mkdirat(parent_fd, name, options.mode) == 0) {
    const bool owned =
        options.uid != static_cast<uid_t>(-1) || options.gid != static_cast<gid_t>(-1);
    if (!owned) return 0;
    return ::fchownat(parent_fd, name, options.uid, options.gid, AT_SYMLINK_NOFOLLOW);
  }
  if (errno != EEXIST) return -1;
  const ssize_t length = ::readlinkat(parent_fd, name, target->text, sizeof target->text - 1);
  if (length < 0) return errno == EINVAL ? 0 : -1;
  target->text[length] = '\0';
  return 1;
}

// Makes the first component of `path` that does not exist. Returns 0: it was made, or nothing is
// missing; 1: it is a link, and `path` was rewritten to its target; -1 and errno: failure.
int make_first_missing(int root_fd, PathBuffer* path, const MkdirOptions& options) noexcept {
  int parent_fd = open_directory(root_fd, ".");
  if (parent_fd < 0) return -1;
  char* component = path->text;
  for (;;) {
    while (*component == '/') ++component;
    char* const end = ::strchrnul(component, '/');
    const char saved = *end;
    *end = '\0';
    const int fd = open_directory(root_fd, path->text);
    if (fd >= 0) {
      ::close(parent_fd);
      parent_fd = fd;
      *end = saved;
      if (saved == '\0') break;
      component = end + 1;
      continue;
    }
    int made = -1;
    PathBuffer target;
    // "." and ".." always resolve; ENOENT for one means that the directory was removed meanwhile.
    if (errno == ENOENT) made = make_one(parent_fd, component, options, &target);
    const int saved_errno = errno;
    ::close(parent_fd);
    errno = saved_errno;
    if (made <= 0) {
      *end = saved;
      return made;
    }
    PathBuffer rest;
    rest.assign(saved == '\0' ? "" : end + 1);
    *component = '\0';
    char parent[PATH_MAX];
    PathBuffer::copy(parent, path->text);
    if (!follow(path, parent, target.text, rest.text)) {
      errno = ENAMETOOLONG;
      return -1;
    }
    return 1;
  }
  ::close(parent_fd);
  return 0;
}

// Returns an O_PATH descriptor of the file `name` in `parent_fd`, which is made if it is missing;
// kIsLink and the link's target if it is a symbolic link; -1 and errno on failure.
int make_last(int parent_fd, const char* name, mode_t mode, PathBuffer* target) noexcept {
  constexpr int kMake =
      O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const int made = ::openat(parent_fd, name, kMake, mode);
  if (made >= 0) ::close(made);
  if (made < 0 && errno != EEXIST) return -1;
  const ssize_t length = ::readlinkat(parent_fd, name, target->text, sizeof target->text - 1);
  if (length < 0) return ::openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  target->text[length] = '\0';
  return kIsLink;
}

}  // namespace

int mkdirs_in_root_raw(int root_fd, const char* path, const MkdirOptions& options) noexcept {
  PathBuffer current;
  if (!current.assign(path[0] == '\0' ? "." : path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int links = 0;
  // Each iteration makes at least one directory or follows one link, so PATH_MAX is a bound.
  for (int turn = 0; turn < PATH_MAX; ++turn) {
    const int fd = open_directory(root_fd, current.text);
    if (fd >= 0 || errno != ENOENT) return fd;
    const int made = make_first_missing(root_fd, &current, options);
    if (made < 0) return -1;
    if (made == 1 && ++links > kLinksMax) break;
  }
  errno = ELOOP;
  return -1;
}

int make_file_in_root_raw(int root_fd, const char* path, mode_t mode) noexcept {
  PathBuffer current;
  if (!current.assign(path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  for (int links = 0; links <= kLinksMax; ++links) {
    char* const slash = ::strrchr(current.text, '/');
    const char* const name = slash == nullptr ? current.text : slash + 1;
    if (name[0] == '\0' || ::strcmp(name, ".") == 0 || ::strcmp(name, "..") == 0) {
      errno = EISDIR;
      return -1;
    }
    PathBuffer parent;
    parent.assign(current.text);
    parent.text[slash == nullptr ? 0 : slash - current.text] = '\0';
    const int parent_fd = mkdirs_in_root_raw(root_fd, parent.text, {});
    if (parent_fd < 0) return -1;
    PathBuffer target;
    const int made = make_last(parent_fd, name, mode, &target);
    const int saved = errno;
    ::close(parent_fd);
    errno = saved;
    if (made != kIsLink) return made;
    if (!follow(&current, parent.text, target.text, "")) {
      errno = ENAMETOOLONG;
      return -1;
    }
  }
  errno = ELOOP;
  return -1;
}

}  // namespace berth::sys
