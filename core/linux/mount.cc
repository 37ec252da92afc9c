// SPDX-License-Identifier: Apache-2.0
#include "core/linux/mount.h"

#include <errno.h>

namespace berth::sys {

Result<FsContext> FsContext::open(const std::string& type) {
  const int fd = ::fsopen(type.c_str(), FSOPEN_CLOEXEC);
  if (fd < 0) return sys_error(errno, "fsopen", type);
  return FsContext(UniqueFd(fd), type);
}

Error FsContext::config_error(int sys_errno, const std::string& key) {
  Error error = sys_error(sys_errno, "fsconfig", type_ + " " + key);
  char text[512];
  // Each read returns one message: "e text", "w text" or "i text".
  for (int line = 0; line < 8; ++line) {
    const ssize_t length = ::read(fd_.get(), text, sizeof text);
    if (length <= 2) break;
    if (text[0] != 'e') continue;
    std::string_view sentence(text + 2, static_cast<std::size_t>(length) - 2);
    while (!sentence.empty() && sentence.back() == '\n') sentence.remove_suffix(1);
    return std::move(error).with(sentence);
  }
  return error;
}

Status FsContext::set_string(const std::string& key, const std::string& value) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) == 0) return {};
  const int saved = errno;
  return config_error(saved, key + "=" + value);
}

Status FsContext::set_flag(const std::string& key) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) == 0) return {};
  const int saved = errno;
  return config_error(saved, key);
}

Status FsContext::set_fd(const std::string& key, int fd) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_FD, key.c_str(), nullptr, fd) == 0) return {};
  const int saved = errno;
  return config_error(saved, key);
}

Status FsContext::create() {
  if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) return {};
  const int saved = errno;
  return config_error(saved, "create");
}

Result<UniqueMount> FsContext::mount(std::uint64_t attributes) {
  const int fd = ::fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  if (fd < 0) return sys_error(errno, "fsmount", type_);
  return UniqueMount(UniqueFd(fd));
}

Result<UniqueMount> mount_filesystem(const std::string& type, std::string_view data,
                                     std::uint64_t attributes) {
  TRY(FsContext context, FsContext::open(type));
  while (!data.empty()) {
    const std::string_view option = data.substr(0, data.find(','));
    data.remove_prefix(option.size() == data.size() ? data.size() : option.size() + 1);
    if (option.empty()) continue;
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos) {
      TRY_(context.set_flag(std::string(option)));
    } else {
      TRY_(context.set_string(std::string(option.substr(0, equals)),
                              std::string(option.substr(equals + 1))));
    }
  }
  TRY_(context.create());
  return context.mount(attributes);
}

Result<UniqueMount> open_tree_clone(int dirfd, const std::string& path, bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (path.empty()) flags |= AT_EMPTY_PATH;
  if (recursive) flags |= AT_RECURSIVE;
  if (dirfd != AT_FDCWD) flags |= AT_SYMLINK_NOFOLLOW;
  const int fd = ::open_tree(dirfd, path.c_str(), flags);
  if (fd < 0) return sys_error(errno, "open_tree", path);
  return UniqueMount(UniqueFd(fd));
}

Status move_mount(int from_fd, int dirfd, const std::string& path) {
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH;
  if (path.empty()) flags |= MOVE_MOUNT_T_EMPTY_PATH;
  if (::move_mount(from_fd, "", dirfd, path.c_str(), flags) == 0) return {};
  return sys_error(errno, "move_mount", path);
}

Status mount_setattr(int mount_fd, const MountAttributes& attributes) {
  if (mount_setattr_raw(mount_fd, attributes.set, attributes.clear, attributes.propagation,
                        attributes.recursive) == 0) {
    return {};
  }
  return sys_error(errno, "mount_setattr");
}

}  // namespace berth::sys
