// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>

#include "core/linux/openat2.h"

namespace berth::image {
namespace {

bool steers_overlayfs(std::string_view xattr) {
  return xattr.starts_with("trusted.overlay.") || xattr.starts_with("user.overlay.");
}

// The filesystem has no xattrs of this kind, or it is user.* on a file of another type: no tool can
// set them there.
bool is_forgivable(int sys_errno, std::string_view xattr) {
  if (sys_errno == EOPNOTSUPP) return xattr != "security.capability";
  return sys_errno == EPERM && xattr.starts_with("user.");
}

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

// The stream owns a descriptor of its own.
Result<std::unique_ptr<DIR, CloseDir>> open_stream(int dirfd, const std::string& name) {
  TRY(UniqueFd opened, open_plain_directory(dirfd, name));
  std::unique_ptr<DIR, CloseDir> stream(::fdopendir(opened.get()));
  if (stream == nullptr) return sys_error(errno, "fdopendir", printable(name));
  static_cast<void>(opened.release());
  return stream;
}

bool is_dot(const char* name) {
  return std::string_view(name) == "." || std::string_view(name) == "..";
}

}  // namespace

std::string printable(std::string_view name) {
  constexpr std::size_t kShown = 160;
  std::string out;
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 127) {
      out += c;
    } else {
      out += "\\x";
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
  }
  return name.size() > kShown ? out + "..." : out;
}

bool is_whiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == 0;
}

Result<UniqueFd> open_plain_directory(int dirfd, const std::string& name) {
  UniqueFd opened(::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened.valid()) return sys_error(errno, "open directory", printable(name));
  return opened;
}

Result<std::string> identity_at(int dirfd, const std::string& name) {
  alignas(file_handle) char space[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const int flags = name.empty() ? AT_EMPTY_PATH : 0;
  if (::name_to_handle_at(dirfd, name.c_str(), handle, &mount, flags) == 0) {
    return std::string(reinterpret_cast<const char*>(handle->f_handle), handle->handle_bytes);
  }
  if (errno != EOPNOTSUPP && errno != EOVERFLOW) {
    return sys_error(errno, "name_to_handle_at", printable(name));
  }
  struct stat status;
  if (::fstatat(dirfd, name.c_str(), &status, flags | AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error(errno, "stat", printable(name));
  }
  return "inode " + std::to_string(status.st_ino);
}

Status set_xattrs(int fd, const std::string& path, const Attributes& attributes) {
  for (const auto& [name, value] : attributes.xattrs) {
    if (steers_overlayfs(name)) continue;
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (is_forgivable(errno, name)) continue;
    return sys_error(errno, "setxattr", printable(name) + " of " + printable(path));
  }
  return {};
}

Status set_xattrs_at(int dirfd, const std::string& name, const Attributes& attributes) {
  if (attributes.xattrs.empty()) return {};
  // There is no lsetxattrat. The magic link is this process' own, and the last part is not
  // followed.
  const std::string path = "/proc/self/fd/" + std::to_string(dirfd) + "/" + name;
  for (const auto& [xattr, value] : attributes.xattrs) {
    if (steers_overlayfs(xattr)) continue;
    if (::lsetxattr(path.c_str(), xattr.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (is_forgivable(errno, xattr)) continue;
    return sys_error(errno, "setxattr", printable(xattr) + " of " + printable(name));
  }
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> read_xattrs(int fd) {
  std::vector<std::pair<std::string, std::string>> all;
  std::string names(65536, '\0');  // XATTR_LIST_MAX
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == EOPNOTSUPP) return all;
  if (size < 0) return sys_error(errno, "listxattr", "a directory below");
  std::string value(65536, '\0');  // XATTR_SIZE_MAX
  for (const char* name = names.data(); name < names.data() + size; name += ::strlen(name) + 1) {
    if (steers_overlayfs(name)) continue;
    const ssize_t got = ::fgetxattr(fd, name, value.data(), value.size());
    if (got >= 0) all.emplace_back(name, value.substr(0, static_cast<std::size_t>(got)));
  }
  return all;
}

Status set_directory_attributes(int directory, const Attributes& attributes) {
  if (::fchown(directory, attributes.uid, attributes.gid) != 0) return sys_error(errno, "chown");
  // After chown, which clears special bits.
  if (::fchmod(directory, attributes.mode) != 0) return sys_error(errno, "chmod");
  TRY_(set_xattrs(directory, "the directory", attributes));
  const timespec times[2] = {attributes.access, attributes.modification};
  if (::futimens(directory, times) != 0) return sys_error(errno, "futimens");
  return {};
}

// Without recursion: a layer may nest directories deeper than the stack allows. Empties the deepest
// directory first and returns to the parent by "..", which stays inside: no other process moves
// these directories.
Status remove_tree(int dirfd, const std::string& name) {
  std::vector<std::string> chain = {name};
  TRY(UniqueFd top, open_plain_directory(dirfd, name));
  UniqueFd current = std::move(top);
  while (true) {
    std::string child;
    {
      TRY(const auto stream, open_stream(current.get(), "."));
      while (const dirent* entry = ::readdir(stream.get())) {
        if (is_dot(entry->d_name)) continue;
        if (::unlinkat(current.get(), entry->d_name, 0) == 0) continue;
        if (errno != EISDIR) return sys_error(errno, "unlink", printable(entry->d_name));
        child = entry->d_name;
        break;
      }
    }
    if (!child.empty()) {
      TRY(UniqueFd below, open_plain_directory(current.get(), child));
      current = std::move(below);
      chain.push_back(std::move(child));
      continue;
    }
    const std::string empty = std::move(chain.back());
    chain.pop_back();
    if (chain.empty()) {
      if (::unlinkat(dirfd, empty.c_str(), AT_REMOVEDIR) == 0) return {};
      return sys_error(errno, "rmdir", printable(empty));
    }
    TRY(UniqueFd above, open_plain_directory(current.get(), ".."));
    current = std::move(above);
    if (::unlinkat(current.get(), empty.c_str(), AT_REMOVEDIR) != 0) {
      return sys_error(errno, "rmdir", printable(empty));
    }
  }
}

}  // namespace berth::image
