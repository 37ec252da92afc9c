// SPDX-License-Identifier: Apache-2.0
// Opening the directory an entry goes into, and making what is missing on the way.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>

#include "core/linux/openat2.h"
#include "snapshotter/unpack_files.h"
#include "snapshotter/unpack_tree.h"

namespace berth::snapshotter {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's own limit (path_resolution(7))

// The parts of `path`, last first, so that the next one is popped from the end.
void push_parts(std::vector<std::string>& todo, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  todo.insert(todo.end(), parts.rbegin(), parts.rend());
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

const char* or_dot(const std::string& path) {
  return path.empty() ? "." : path.c_str();
}

}  // namespace

Result<UniqueFd> UnpackTree::open_directory(const std::string& path) {
  constexpr std::uint64_t kFlags = O_PATH | O_DIRECTORY;
  UniqueFd opened(sys::openat2(root_, or_dot(path), kFlags, 0, kResolveInTree));
  if (opened.valid()) return opened;
  if (errno != ENOENT && errno != ENOTDIR) return sys_error(errno, "open", printable(path));
  TRY(const std::string made, make_parents(path));
  opened.reset(sys::openat2(root_, or_dot(made), kFlags, 0, kResolveInTree));
  if (!opened.valid()) return sys_error(errno, "open", printable(path));
  return opened;
}

// Walks part by part, resolving links by hand as RESOLVE_IN_ROOT does, because a link may lead to
// what only the layers below have. Returns the path without links.
Result<std::string> UnpackTree::make_parents(const std::string& path) {
  std::vector<std::string> todo;
  push_parts(todo, path);
  std::string done;
  int links_left = kLinksMax;
  while (!todo.empty()) {
    const std::string part = std::move(todo.back());
    todo.pop_back();
    if (part == "..") {
      done = parent_of(done);  // of "": the root is its own parent
      continue;
    }
    TRY(done, step_into(std::move(done), part, todo, links_left));
  }
  return done;
}

Result<std::string> UnpackTree::step_into(std::string done, const std::string& part,
                                          std::vector<std::string>& todo, int& links_left) {
  std::string next = done.empty() ? part : done + "/" + part;
  if (next.size() >= PATH_MAX) return sys_error(ENAMETOOLONG, "open", printable(next));
  const UniqueFd there(sys::openat2(root_, next.c_str(), O_PATH | O_NOFOLLOW, 0,
                                    kResolveInTree | RESOLVE_NO_SYMLINKS));
  if (!there.valid()) {
    if (errno != ENOENT) return sys_error(errno, "open", printable(next));
    TRY_(make_missing(next));
    return next;
  }
  struct stat status;
  if (::fstat(there.get(), &status) != 0) return sys_error(errno, "stat", printable(next));
  if (S_ISDIR(status.st_mode)) return next;
  if (is_whiteout(status)) {
    TRY_(replace_whiteout(next));
    return next;
  }
  if (!S_ISLNK(status.st_mode)) return sys_error(ENOTDIR, "open", printable(next));
  if (--links_left < 0) return sys_error(ELOOP, "open", printable(next));
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(there.get(), "", target.data(), target.size());
  if (size < 0) return sys_error(errno, "readlink", printable(next));
  target.resize(static_cast<std::size_t>(size));
  push_parts(todo, target);
  return target.starts_with("/") ? std::string() : done;
}

// `path` without links: its open parent and its last part.
Result<UnpackTree::Place> UnpackTree::split_real(const std::string& path, UniqueFd& parent) {
  const std::string above = parent_of(path);
  parent.reset(sys::openat2(root_, or_dot(above), O_PATH | O_DIRECTORY, 0,
                            kResolveInTree | RESOLVE_NO_SYMLINKS));
  if (!parent.valid()) return sys_error(errno, "open", printable(above));
  return Place{parent.get(), above.empty() ? path : path.substr(above.size() + 1)};
}

Status UnpackTree::make_missing(const std::string& path) {
  UniqueFd parent;
  TRY(const Place at, split_real(path, parent));
  if (::mkdirat(at.parent, at.name.c_str(), 0755) != 0) {
    return sys_error(errno, "mkdir", printable(path));
  }
  // The process's umask is not the image's business.
  if ((birth_.mode_kept & 0755) != 0755 && ::fchmodat(at.parent, at.name.c_str(), 0755, 0) != 0) {
    return sys_error(errno, "chmod", printable(path));
  }
  if (place_ == LayerPlace::lowest) return {};
  return directories_.add_implied(at.parent, at.name, path);
}

// A directory where this layer has just said that the one below is gone: a new one.
Status UnpackTree::replace_whiteout(const std::string& path) {
  {
    UniqueFd parent;
    TRY(const Place at, split_real(path, parent));
    if (::unlinkat(at.parent, at.name.c_str(), 0) != 0) {
      return sys_error(errno, "unlink", printable(path));
    }
  }
  TRY_(make_missing(path));
  UniqueFd parent;
  TRY(const Place at, split_real(path, parent));
  TRY(const UniqueFd made, open_plain_directory(at.parent, at.name));
  return hide_below(made.get(), path);
}

}  // namespace berth::snapshotter
