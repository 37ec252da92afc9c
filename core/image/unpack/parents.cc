// SPDX-License-Identifier: Apache-2.0
// Opens the parent directory of an entry and creates missing directories on the way.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>

#include "core/image/unpack/files.h"
#include "core/image/unpack/tree.h"
#include "core/linux/openat2.h"

namespace berth::image {
namespace {

// The parts of `path` in reverse, so that the next one is popped from the end.
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

// A file of any type in an open directory; a symbolic link is not followed.
int open_part(int parent, const std::string& name) {
  return sys::openat2(parent, name.c_str(), O_PATH | O_NOFOLLOW, 0,
                      kResolveInTree | RESOLVE_NO_SYMLINKS);
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
  return make_parents(path);
}

// Walks part by part and resolves links as RESOLVE_IN_ROOT does, because a link may lead to a
// directory that only the layers below have. Each step looks up one name in an open directory, so
// the cost is linear in the path's length.
Result<UniqueFd> UnpackTree::make_parents(const std::string& path) {
  Walk walk;
  push_parts(walk.todo, path);
  TRY_(go_back_to(walk, ""));
  while (!walk.todo.empty()) {
    const std::string part = std::move(walk.todo.back());
    walk.todo.pop_back();
    if (part == "..") {
      TRY_(go_back_to(walk, parent_of(walk.path)));  // the root is its own parent
    } else {
      TRY_(step_into(walk, part));
    }
  }
  return std::move(walk.at);
}

// `path` has no links; it is a prefix of the path walked so far.
Status UnpackTree::go_back_to(Walk& walk, std::string path) {
  walk.at.reset(sys::openat2(root_, or_dot(path), O_PATH | O_DIRECTORY, 0,
                             kResolveInTree | RESOLVE_NO_SYMLINKS));
  if (!walk.at.valid()) return sys_error(errno, "open", printable(path));
  walk.path = std::move(path);
  return {};
}

Status UnpackTree::step_into(Walk& walk, const std::string& part) {
  std::string next = walk.path.empty() ? part : walk.path + "/" + part;
  if (next.size() >= PATH_MAX) return sys_error(ENAMETOOLONG, "open", printable(next));
  UniqueFd there(open_part(walk.at.get(), part));
  if (!there.valid() && errno != ENOENT) return sys_error(errno, "open", printable(next));
  struct stat status {};
  if (there.valid() && ::fstat(there.get(), &status) != 0) {
    return sys_error(errno, "stat", printable(next));
  }
  if (there.valid() && S_ISLNK(status.st_mode)) return follow(walk, there.get(), next);
  if (!there.valid() || is_whiteout(status)) {
    TRY_(make_missing(walk.at.get(), part, next, there.valid()));
    there.reset(open_part(walk.at.get(), part));
    if (!there.valid()) return sys_error(errno, "open", printable(next));
  } else if (!S_ISDIR(status.st_mode)) {
    return sys_error(ENOTDIR, "open", printable(next));
  }
  walk.at = std::move(there);
  walk.path = std::move(next);
  return {};
}

Status UnpackTree::follow(Walk& walk, int link, const std::string& path) {
  if (--walk.links_left < 0) return sys_error(ELOOP, "open", printable(path));
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(link, "", target.data(), target.size());
  if (size < 0) return sys_error(errno, "readlink", printable(path));
  target.resize(static_cast<std::size_t>(size));
  push_parts(walk.todo, target);
  return target.starts_with("/") ? go_back_to(walk, "") : Status();
}

// `instead_of_whiteout`: this layer removed the directory below, so the new one must hide it.
Status UnpackTree::make_missing(int parent, const std::string& name, const std::string& path,
                                bool instead_of_whiteout) {
  if (instead_of_whiteout && ::unlinkat(parent, name.c_str(), 0) != 0) {
    return sys_error(errno, "unlink", printable(path));
  }
  if (::mkdirat(parent, name.c_str(), 0755) != 0) return sys_error(errno, "mkdir", printable(path));
  // Independent of the process' umask.
  if ((birth_.mode_kept & 0755) != 0755 && ::fchmodat(parent, name.c_str(), 0755, 0) != 0) {
    return sys_error(errno, "chmod", printable(path));
  }
  if (place_ == LayerPlace::lowest) return {};
  if (!instead_of_whiteout) return directories_.add_implied(parent, name, path);
  TRY(const UniqueFd made, open_plain_directory(parent, name));
  return set_opaque(made.get(), path);
}

}  // namespace berth::image
