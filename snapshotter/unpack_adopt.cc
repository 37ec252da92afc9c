// SPDX-License-Identifier: Apache-2.0
// What a layer says nothing about looks as it does in the layers below: the overlay shows the upper
// directory's attributes, and a layer that only adds a file must not change those around it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/linux/openat2.h"
#include "snapshotter/unpack.h"
#include "snapshotter/unpack_files.h"

namespace berth::snapshotter {
namespace {

bool is_opaque(int directory) {
  char value = 0;
  return ::fgetxattr(directory, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

// Does a directory above `path` in this layer hide what is below the layer?
bool is_hidden_above(int root, const std::string& path) {
  for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string above = path.substr(0, end);
    const UniqueFd opened(
        sys::openat2(root, above.c_str(), O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
    if (opened.valid() && is_opaque(opened.get())) return true;
  }
  return !path.empty() && is_opaque(root);
}

// The directory that a mount of `lowers` would show at `path`; not valid when there is none.
Result<UniqueFd> find_below(const std::vector<UniqueFd>& lowers, const std::string& path) {
  const char* name = path.empty() ? "." : path.c_str();
  for (const UniqueFd& lower : lowers) {
    UniqueFd found(sys::openat2(lower.get(), name, O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
    if (found.valid()) return found;
    // A whiteout, a file or a loop of links: what is further below does not show.
    if (errno == ENOTDIR || errno == ELOOP) break;
    if (errno != ENOENT)
      return sys_error(errno, "open", "`" + printable(path) + "` of a layer below");
    if (is_hidden_above(lower.get(), path)) break;
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

Status adopt(int root, const std::vector<UniqueFd>& lowers, const std::string& path) {
  if (is_hidden_above(root, path)) return {};
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
  for (const std::string& path : implied) {
    Status adopted = adopt(directory, lowers, path);
    if (adopted.ok()) continue;
    Error error = std::move(adopted).error().with("directory `" + printable(path) + "`");
    return std::move(error).with("layer " + std::string(layer));
  }
  return {};
}

}  // namespace berth::snapshotter
