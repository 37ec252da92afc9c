// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <utility>

#include "core/linux/openat2.h"
#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

constexpr std::size_t kLeftoversMax = 4096;
constexpr std::string_view kSuffix = ".json";

Status make_dirs(const std::string& dir) {
  for (std::size_t at = dir.find('/', 1); at != std::string::npos; at = dir.find('/', at + 1)) {
    TRY_(sys::mkdir_if_missing(AT_FDCWD, dir.substr(0, at), 0700));
  }
  return sys::mkdir_if_missing(AT_FDCWD, dir, 0700);
}

Status write_file(const std::string& path, std::string_view text) {
  TRY(const UniqueFd fd, sys::openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd.get(), text.data(), text.size());
    if (wrote < 0) return sys_error(errno, "write", path);
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fsync(fd.get()) != 0) return sys_error(errno, "fsync", path);
  return {};
}

}  // namespace

Status record_leftover(const std::string& dir, const Attachment& attachment) {
  TRY_(make_dirs(dir));
  const std::string path = dir + "/" + attachment.container_id + std::string(kSuffix);
  const std::string partial = path + ".partial";
  TRY_(write_file(partial, saved_text(attachment)));
  if (::rename(partial.c_str(), path.c_str()) != 0) return sys_error(errno, "rename", path);
  return {};
}

Status remove_leftover(const std::string& dir, const std::string& container_id) {
  const std::string path = dir + "/" + container_id + std::string(kSuffix);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return sys_error(errno, "unlink", path);
}

Result<std::vector<Attachment>> load_leftovers(const std::string& dir) {
  std::vector<Attachment> all;
  DIR* const stream = ::opendir(dir.c_str());
  if (stream == nullptr) {
    if (errno == ENOENT) return all;
    return sys_error(errno, "opendir", dir);
  }
  for (const dirent* entry = ::readdir(stream); entry != nullptr; entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (!name.ends_with(kSuffix) || all.size() == kLeftoversMax) continue;
    Result<std::string> text = sys::read_small_file(AT_FDCWD, dir + "/" + name, kJsonSizeMax);
    if (!text.ok()) continue;
    Result<Attachment> attachment = read_saved(*text);
    const bool is_named_so =
        attachment.ok() && attachment->container_id + std::string(kSuffix) == name;
    if (is_named_so) all.push_back(std::move(*attachment));
  }
  ::closedir(stream);
  return all;
}

}  // namespace berth::networking::cni
