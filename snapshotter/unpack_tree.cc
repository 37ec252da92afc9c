// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/unpack_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "core/linux/openat2.h"
#include "snapshotter/unpack_files.h"

namespace berth::snapshotter {
namespace {

Status set_times(int dirfd, const char* name, const Attributes& attributes) {
  const timespec times[2] = {attributes.access, attributes.modification};
  if (::utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return sys_error(errno, "utimensat", name);
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
      return make_error(Errc::invalid_argument, "the name has a part `..`");
    }
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

Status UnpackTree::start() {
  return remember_implied(root_, "");
}

// Stays valid as long as no other parent is asked for and nothing is removed.
Result<UnpackTree::Place> UnpackTree::place(const std::string& path) {
  CHECK(!path.empty());
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (parent.empty()) return Place{root_, std::move(name)};
  if (!parent_.valid() || parent_path_ != parent) {
    TRY(UniqueFd opened, open_directory(parent));
    parent_ = std::move(opened);
    parent_path_ = parent;
  }
  return Place{parent_.get(), std::move(name)};
}

Status UnpackTree::remove_existing(const Place& place) {
  if (::unlinkat(place.parent, place.name.c_str(), 0) == 0) return {};
  if (errno != EISDIR) return sys_error(errno, "unlink", place.name);
  TRY_(remove_tree(place.parent, place.name));
  // The cached parent may have been inside. The Place in use stays: it is not inside itself.
  if (place.parent != parent_.get()) parent_.reset();
  return {};
}

Status UnpackTree::remember(int directory, const std::string& path, const Attributes& attributes) {
  struct stat status;
  if (::fstat(directory, &status) != 0) return sys_error(errno, "stat", path);
  pending_[status.st_ino] = {path, attributes.mode, attributes.access, attributes.modification};
  implied_.erase(status.st_ino);
  return {};
}

Status UnpackTree::remember_implied(int directory, const std::string& path) {
  struct stat status;
  if (::fstat(directory, &status) != 0) return sys_error(errno, "stat", printable(path));
  implied_[status.st_ino] = path;
  return {};
}

Status UnpackTree::set_opaque(int directory, const std::string& path) {
  if (place_ == LayerPlace::lowest) return {};
  if (::fsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) == 0) return {};
  return sys_error(errno, "setxattr trusted.overlay.opaque", printable(path));
}

// A whiteout of a directory that this layer has too: it is a new one, unlike that below.
Status UnpackTree::hide_below(int directory, const std::string& path) {
  struct stat status;
  if (::fstat(directory, &status) != 0) return sys_error(errno, "stat", printable(path));
  implied_.erase(status.st_ino);
  return set_opaque(directory, path);
}

// A whiteout that is there says that the directory below is gone: the new one hides it.
Status UnpackTree::make_directory(const Place& place) {
  const char* name = place.name.c_str();
  if (::mkdirat(place.parent, name, 0700) == 0) return {};
  if (errno != EEXIST) return sys_error(errno, "mkdir", place.name);
  struct stat status;
  if (::fstatat(place.parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error(errno, "stat", place.name);
  }
  if (S_ISDIR(status.st_mode)) return {};
  TRY_(remove_existing(place));
  if (::mkdirat(place.parent, name, 0700) != 0) return sys_error(errno, "mkdir", place.name);
  if (!is_whiteout(status)) return {};
  TRY(const UniqueFd made, open_plain_directory(place.parent, place.name));
  return set_opaque(made.get(), place.name);
}

Status UnpackTree::directory(const std::string& path, const Attributes& attributes) {
  UniqueFd opened;
  if (path.empty()) {
    TRY(opened, open_plain_directory(root_, "."));
  } else {
    TRY(const Place at, place(path));
    TRY_(make_directory(at));
    TRY(opened, open_plain_directory(at.parent, at.name));
  }
  if (::fchown(opened.get(), attributes.uid, attributes.gid) != 0) {
    return sys_error(errno, "chown", path);
  }
  TRY_(set_xattrs(opened.get(), path, attributes));
  return remember(opened.get(), path, attributes);
}

Result<UniqueFd> UnpackTree::create_file(const std::string& path) {
  TRY(const Place at, place(path));
  constexpr int kFlags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd file(::openat(at.parent, at.name.c_str(), kFlags, 0600));
  if (!file.valid() && errno == EEXIST) {
    TRY_(remove_existing(at));
    file.reset(::openat(at.parent, at.name.c_str(), kFlags, 0600));
  }
  if (!file.valid()) return sys_error(errno, "create", path);
  return file;
}

// The order matters: writing and chown clear setuid bits and capabilities, and everything changes
// times.
Status UnpackTree::finish_file(const UniqueFd& file, const std::string& path,
                               const Attributes& attributes) {
  if (::fchown(file.get(), attributes.uid, attributes.gid) != 0) {
    return sys_error(errno, "chown", path);
  }
  if (::fchmod(file.get(), attributes.mode) != 0) return sys_error(errno, "chmod", path);
  TRY_(set_xattrs(file.get(), path, attributes));
  const timespec times[2] = {attributes.access, attributes.modification};
  if (::futimens(file.get(), times) != 0) return sys_error(errno, "futimens", path);
  return {};
}

Status UnpackTree::set_node_attributes(const Place& at, mode_t type, const Attributes& attributes) {
  const char* name = at.name.c_str();
  if (::fchownat(at.parent, name, attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error(errno, "chown", at.name);
  }
  // fchmodat follows links; what is there now was made by us a moment ago and is none.
  if (type != S_IFLNK && ::fchmodat(at.parent, name, attributes.mode, 0) != 0) {
    return sys_error(errno, "chmod", at.name);
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
  if (made != 0) return sys_error(errno, "symlink", path);
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
  if (made != 0) return sys_error(errno, "mknod", path);
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
  // Onto itself: removing what is there would remove the file.
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
  if (errno != EEXIST) return sys_error(errno, "mknod whiteout", path);
  // This layer has its own: a directory must not merge with the one below, the rest hides it
  // anyway.
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
  TRY(std::vector<std::string> implied, list_implied());
  std::vector<std::pair<ino_t, PendingDirectory>> all(pending_.begin(), pending_.end());
  // Children first: a parent's mode may forbid searching it.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second.path.size() > b.second.path.size();
  });
  for (const auto& [inode, directory] : all) {
    TRY(const UniqueFd opened, open_if_still(directory.path, inode));
    if (!opened.valid()) continue;
    const std::string& path = directory.path;
    if (::fchmod(opened.get(), directory.mode) != 0) {
      return sys_error(errno, "chmod", printable(path));
    }
    const timespec times[2] = {directory.access, directory.modification};
    if (::futimens(opened.get(), times) != 0) return sys_error(errno, "futimens", printable(path));
  }
  pending_.clear();
  return implied;
}

// Removed or replaced since: what is there now is not what was remembered. Then not valid.
Result<UniqueFd> UnpackTree::open_if_still(const std::string& path, ino_t inode) {
  const char* name = path.empty() ? "." : path.c_str();
  UniqueFd opened(sys::openat2(root_, name, O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
  if (!opened.valid() && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return opened;
  if (!opened.valid()) return sys_error(errno, "open", printable(path));
  struct stat status;
  if (::fstat(opened.get(), &status) != 0) return sys_error(errno, "stat", printable(path));
  if (status.st_ino != inode) opened.reset();
  return opened;
}

Result<std::vector<std::string>> UnpackTree::list_implied() {
  std::vector<std::string> paths;
  for (auto& [inode, path] : implied_) {
    TRY(const UniqueFd opened, open_if_still(path, inode));
    if (opened.valid()) paths.push_back(std::move(path));
  }
  implied_.clear();
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace berth::snapshotter
