// SPDX-License-Identifier: Apache-2.0
// Attributes of directories that a layer has no entry for. The overlay shows the upper directory's
// attributes, so such a directory gets those of the layer below: a layer that only adds a file must
// not change the directories around it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/image/unpack/files.h"
#include "core/image/unpack/unpack.h"
#include "core/linux/openat2.h"

namespace berth::image {
namespace {

bool is_opaque(int directory) {
  char value = 0;
  return ::fgetxattr(directory, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

// Whether an opaque directory above a path of one layer hides the layers below. For many paths in
// sorted order it opens each directory about once.
class Hidden {
 public:
  explicit Hidden(int root) : root_(root) {}

  bool above(const std::string& path) {
    if (path.empty()) return false;
    if (ends_.empty()) add(0, "");
    while (ends_.back().end > 0 && !is_below(path, ends_.back().end)) ends_.pop_back();
    path_ = path;
    for (std::size_t end = path.find('/', ends_.back().end + 1); end != std::string::npos;
         end = path.find('/', end + 1)) {
      add(end, path.substr(0, end));
    }
    return ends_.back().hidden;
  }

 private:
  struct End {
    std::size_t end;  // of a prefix of path_
    bool hidden;      // the layers below are hidden under it
  };

  bool is_below(const std::string& path, std::size_t end) const {
    return path.size() > end && path[end] == '/' && path.compare(0, end, path_, 0, end) == 0;
  }
  void add(std::size_t end, const std::string& directory) {
    bool hidden = !ends_.empty() && ends_.back().hidden;
    if (!hidden) {
      const char* name = directory.empty() ? "." : directory.c_str();
      const UniqueFd opened(sys::openat2(root_, name, O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
      hidden = opened.valid() && is_opaque(opened.get());
    }
    ends_.push_back({end, hidden});
  }

  int root_;
  std::string path_;
  std::vector<End> ends_;
};

struct Lower {
  int root;
  Hidden hidden;
};

// The directory that a mount of `lowers` shows at `path`; not valid if there is none.
Result<UniqueFd> find_below(std::vector<Lower>& lowers, const std::string& path) {
  const char* name = path.empty() ? "." : path.c_str();
  for (Lower& lower : lowers) {
    UniqueFd found(sys::openat2(lower.root, name, O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
    if (found.valid()) return found;
    // A whiteout, a file or a loop of links hides the layers further below.
    if (errno == ENOTDIR || errno == ELOOP) break;
    if (errno != ENOENT)
      return sys_error(errno, "open", "`" + printable(path) + "` of a layer below");
    if (lower.hidden.above(path)) break;
  }
  return UniqueFd();
}

Result<Attributes> attributes_of(int directory) {
  struct stat status;
  if (::fstat(directory, &status) != 0) return sys_error(errno, "stat");
  Attributes attributes;
  attributes.uid = status.st_uid;
  attributes.gid = status.st_gid;
  attributes.mode = status.st_mode & 07777;
  attributes.access = status.st_atim;
  attributes.modification = status.st_mtim;
  TRY(attributes.xattrs, read_xattrs(directory));
  return attributes;
}

Status adopt(int root, Hidden& hidden, std::vector<Lower>& lowers, const std::string& path) {
  if (hidden.above(path)) return {};
  TRY(const UniqueFd below, find_below(lowers, path));
  if (!below.valid()) return {};
  const char* name = path.empty() ? "." : path.c_str();
  constexpr std::uint64_t kResolve = kResolveInTree | RESOLVE_NO_SYMLINKS;
  const UniqueFd own(sys::openat2(root, name, O_RDONLY | O_DIRECTORY, 0, kResolve));
  if (!own.valid()) return sys_error(errno, "open", printable(path));
  TRY(const Attributes attributes, attributes_of(below.get()));
  return set_directory_attributes(own.get(), attributes);
}

}  // namespace

Status adopt_directories(int directory, const std::vector<UniqueFd>& lowers,
                         const std::vector<std::string>& implied, std::string_view layer) {
  if (lowers.empty()) return {};
  Hidden hidden(directory);
  std::vector<Lower> all;
  for (const UniqueFd& lower : lowers) all.push_back({lower.get(), Hidden(lower.get())});
  for (const std::string& path : implied) {
    Status adopted = adopt(directory, hidden, all, path);
    if (adopted.ok()) continue;
    Error error = std::move(adopted).error().with("directory `" + printable(path) + "`");
    return std::move(error).with("layer " + std::string(layer));
  }
  return {};
}

}  // namespace berth::image
