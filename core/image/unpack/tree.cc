// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/image/unpack/files.h"
#include "core/linux/openat2.h"

namespace berth::image {
namespace {

Status set_times(int dirfd, const char* name, const Attributes& attributes) {
  const timespec times[2] = {attributes.access, attributes.modification};
  if (::utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return sys_error(errno, "utimensat", printable(name));
}

}  // namespace

Result<std::string> clean_path(std::string_view raw) {
  std::string clean;
  while (!raw.empty()) {
    const std::size_t slash = raw.find('/');
    const std::string_view part = raw.substr(0, slash);
    raw.remove_prefix(slash == std::string_view::npos ? raw.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (clean.empty()) return make_error(Errc::invalid_argument, "the name leads out by `..`");
      const std::size_t last = clean.rfind('/');
      clean.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (part.size() > NAME_MAX) return sys_error(ENAMETOOLONG, "name", printable(part));
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  // Check before the first of its parents is created.
  if (clean.size() >= PATH_MAX) return sys_error(ENAMETOOLONG, "name");
  return clean;
}

Status UnpackTree::start() {
  TRY_(find_birth());
  if (place_ == LayerPlace::above_others) return directories_.add_implied(root_, "", "");
  // The default; an entry for the root replaces it.
  Attributes attributes;
  attributes.mode = 0755;
  return directories_.add(root_, "", "", attributes);
}

// Finds the owner and mode of new files, which saves a chown and a chmod for most of them. The
// umask cannot be read without setting it, and a filesystem may give files the group of their
// directory, so create an unnamed file and look. Directories stay root's and without a set-group-id
// bit until finish(), so the result holds in the whole tree.
Status UnpackTree::find_birth() {
  const UniqueFd sample(::openat(root_, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0777));
  if (!sample.valid()) {
    // A filesystem without unnamed files: set owner and mode of every file.
    if (errno == EOPNOTSUPP || errno == EISDIR) return {};
    return sys_error(errno, "open", "a file without a name");
  }
  struct stat status;
  if (::fstat(sample.get(), &status) != 0) return sys_error(errno, "stat", "a new file");
  birth_ = {status.st_uid, status.st_gid, status.st_mode & 0777};
  return {};
}

bool UnpackTree::born_with_owner(const Attributes& attributes) const {
  return attributes.uid == birth_.uid && attributes.gid == birth_.gid;
}

// Special bits are set last, when no later step clears them.
bool UnpackTree::born_with_mode(const Attributes& attributes) const {
  return (attributes.mode & ~birth_.mode_kept) == 0;
}

// Valid until the next call with another parent.
Result<UnpackTree::Place> UnpackTree::place(const std::string& path) {
  CHECK(!path.empty());
  const std::size_t slash = path.rfind('/');
  const std::string_view parent =
      slash == std::string::npos ? std::string_view() : std::string_view(path).substr(0, slash);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (parent.empty()) return Place{root_, std::move(name)};
  if (!parent_.valid() || parent_is_stale_ || parent_path_ != parent) {
    TRY(UniqueFd opened, open_directory(std::string(parent)));
    parent_ = std::move(opened);
    parent_path_ = parent;
    parent_is_stale_ = false;
  }
  return Place{parent_.get(), std::move(name)};
}

Status UnpackTree::remove_existing(const Place& place) {
  parent_is_stale_ = true;
  if (::unlinkat(place.parent, place.name.c_str(), 0) == 0) return {};
  if (errno != EISDIR) return sys_error(errno, "unlink", printable(place.name));
  return remove_tree(place.parent, place.name);
}

Status UnpackTree::set_opaque(int directory, const std::string& path) {
  if (place_ == LayerPlace::lowest) return {};
  if (::fsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) == 0) return {};
  return sys_error(errno, "setxattr trusted.overlay.opaque", printable(path));
}

// For a whiteout of a directory that this layer has too: its directory must not merge with the one
// below.
Status UnpackTree::hide_below(int directory, const std::string& path) {
  TRY_(directories_.forget_implied(directory));
  return set_opaque(directory, path);
}

// If the name is a whiteout, the directory replaces it and must hide the one below.
Status UnpackTree::make_directory(const Place& place) {
  const char* name = place.name.c_str();
  if (::mkdirat(place.parent, name, 0700) == 0) return {};
  if (errno != EEXIST) return sys_error(errno, "mkdir", printable(place.name));
  struct stat status;
  if (::fstatat(place.parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error(errno, "stat", printable(place.name));
  }
  if (S_ISDIR(status.st_mode)) return {};
  TRY_(remove_existing(place));
  if (::mkdirat(place.parent, name, 0700) != 0)
    return sys_error(errno, "mkdir", printable(place.name));
  if (!is_whiteout(status)) return {};
  TRY(const UniqueFd made, open_plain_directory(place.parent, place.name));
  return set_opaque(made.get(), place.name);
}

Status UnpackTree::directory(const std::string& path, const Attributes& attributes) {
  if (path.empty()) return directories_.add(root_, "", path, attributes);
  TRY(const Place at, place(path));
  TRY_(make_directory(at));
  return directories_.add(at.parent, at.name, path, attributes);
}

Result<NewFile> UnpackTree::create_file(const std::string& path, const Attributes& attributes) {
  TRY(const Place at, place(path));
  constexpr int kFlags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
  const bool has_mode = born_with_mode(attributes);
  const mode_t mode = has_mode ? attributes.mode : 0600;
  UniqueFd file(::openat(at.parent, at.name.c_str(), kFlags, mode));
  if (!file.valid() && errno == EEXIST) {
    TRY_(remove_existing(at));
    file.reset(::openat(at.parent, at.name.c_str(), kFlags, mode));
  }
  if (!file.valid()) return sys_error(errno, "create", printable(path));
  return NewFile{std::move(file), !born_with_owner(attributes), !has_mode};
}

Status UnpackTree::set_node_attributes(const Place& at, mode_t type, const Attributes& attributes) {
  const char* name = at.name.c_str();
  if (!born_with_owner(attributes) &&
      ::fchownat(at.parent, name, attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error(errno, "chown", printable(at.name));
  }
  // fchmodat follows links; this file was just created and is not a link.
  if (type != S_IFLNK && ::fchmodat(at.parent, name, attributes.mode, 0) != 0) {
    return sys_error(errno, "chmod", printable(at.name));
  }
  TRY_(set_xattrs_at(at.parent, at.name, attributes));
  return set_times(at.parent, name, attributes);
}

Status UnpackTree::symlink(const std::string& path, const std::string& target,
                           const Attributes& attributes) {
  TRY(const Place at, place(path));
  int made = ::symlinkat(target.c_str(), at.parent, at.name.c_str());
  if (made != 0 && errno == EEXIST) {
    TRY_(remove_existing(at));
    made = ::symlinkat(target.c_str(), at.parent, at.name.c_str());
  }
  if (made != 0) return sys_error(errno, "symlink", printable(path));
  return set_node_attributes(at, S_IFLNK, attributes);
}

Status UnpackTree::node(const std::string& path, mode_t type, dev_t device,
                        const Attributes& attributes) {
  TRY(const Place at, place(path));
  int made = ::mknodat(at.parent, at.name.c_str(), type | 0600, device);
  if (made != 0 && errno == EEXIST) {
    TRY_(remove_existing(at));
    made = ::mknodat(at.parent, at.name.c_str(), type | 0600, device);
  }
  if (made != 0) return sys_error(errno, "mknod", printable(path));
  return set_node_attributes(at, type, attributes);
}

Status UnpackTree::hard_link(const std::string& path, const std::string& existing) {
  TRY(const Place to, place(path));
  const std::size_t slash = existing.rfind('/');
  const std::string from_parent = slash == std::string::npos ? "." : existing.substr(0, slash);
  const std::string from_name = slash == std::string::npos ? existing : existing.substr(slash + 1);
  const UniqueFd from(
      sys::openat2(root_, from_parent.c_str(), O_PATH | O_DIRECTORY, 0, kResolveInTree));
  struct stat source;
  if (!from.valid() ||
      ::fstatat(from.get(), from_name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0) {
    const Errc code = errc_from_errno(errno);
    return make_error(code, "hard link to `" + printable(existing) +
                                "`, which this layer does not have before it");
  }
  // A link onto itself: removing the existing name would remove the file.
  struct stat there;
  if (::fstatat(to.parent, to.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    if (there.st_ino == source.st_ino) return {};
    TRY_(remove_existing(to));
  }
  if (::linkat(from.get(), from_name.c_str(), to.parent, to.name.c_str(), 0) == 0) return {};
  return sys_error(errno, "link", printable(existing));
}

Status UnpackTree::whiteout(const std::string& path) {
  if (place_ == LayerPlace::lowest) return {};
  TRY(const Place at, place(path));
  if (::mknodat(at.parent, at.name.c_str(), S_IFCHR, ::makedev(0, 0)) == 0) return {};
  if (errno != EEXIST) return sys_error(errno, "mknod whiteout", printable(path));
  // This layer has a file of that name: a directory must not merge with the one below, and any
  // other type hides it anyway.
  Result<UniqueFd> own = open_plain_directory(at.parent, at.name);
  if (own.ok()) return hide_below(own->get(), path);
  if (own.error().sys_errno == ENOTDIR || own.error().sys_errno == ELOOP) return {};
  return std::move(own).error();
}

Status UnpackTree::opaque(const std::string& path) {
  UniqueFd parent;
  if (!path.empty()) {
    TRY(parent, open_directory(path));
  }
  TRY(const UniqueFd opened, open_plain_directory(path.empty() ? root_ : parent.get(), "."));
  return set_opaque(opened.get(), path);
}

Result<std::vector<std::string>> UnpackTree::finish() {
  parent_.reset();
  return directories_.finish();
}

}  // namespace berth::image
