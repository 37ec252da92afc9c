// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/config_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/unique_fd.h"
#include "core/base/units.h"

namespace berth::image {

Result<std::optional<std::string>> read_config_file(const std::string& path) {
  constexpr std::size_t kSizeMax = 1_MiB;
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return std::optional<std::string>();
  if (!file.valid()) return sys_error(errno, "open", path);
  std::string text;
  char buffer[16_KiB];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) return sys_error(errno, "read", path);
    if (got == 0) return std::optional<std::string>(std::move(text));
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kSizeMax) {
      return make_error(Errc::invalid_argument, path + ": is larger than 1 MiB");
    }
  }
}

std::string stamp_of(const std::vector<std::string>& paths) {
  std::string all;
  for (const std::string& path : paths) {
    struct stat status {};
    all += path + "=";
    if (::stat(path.c_str(), &status) != 0) {
      all += std::to_string(errno) + ";";
      continue;
    }
    all += std::to_string(status.st_dev) + "." + std::to_string(status.st_ino) + "." +
           std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) + "." +
           std::to_string(status.st_mtim.tv_nsec) + ";";
  }
  return all;
}

std::vector<std::string> names_in(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> names;
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name.size() > suffix.size() && name.ends_with(suffix)) names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

Error unusable(Error error) {
  error.code = Errc::failed_precondition;
  return error;
}

}  // namespace berth::image
