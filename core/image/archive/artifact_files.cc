// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/artifact_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "core/base/text.h"

namespace berth::image {
namespace {

Error refused(const LayerInfo& layer, const std::string& why) {
  return make_error(Errc::invalid_argument, "artifact blob " + layer.digest.text() + ": title " +
                                                quoted(layer.title) + " " + why);
}

Status check_component(const LayerInfo& layer, std::string_view component) {
  if (component.empty() || component == "." || component == "..") {
    return refused(layer, "has a part that is empty, `.` or `..`");
  }
  if (component.size() > NAME_MAX) return refused(layer, "has a part of more than 255 bytes");
  return {};
}

// Makes the directories before the last '/'. No other process can change them: only this one has
// `root` open.
Result<UniqueFd> parent_of(int root, const LayerInfo& layer, std::string& name) {
  UniqueFd directory(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/')) {
    const std::string part = name.substr(0, slash);
    name.erase(0, slash + 1);
    if (::mkdirat(directory.get(), part.c_str(), 0755) != 0 && errno != EEXIST) {
      return sys_error(errno, "mkdir", quoted(layer.title));
    }
    UniqueFd next(
        ::openat(directory.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && errno == ENOTDIR) {
      return refused(layer, "needs a directory where another blob is a file");
    }
    if (!next.valid()) return sys_error(errno, "open", quoted(layer.title));
    directory = std::move(next);
  }
  return directory;
}

}  // namespace

Result<std::string> artifact_file_name(const LayerInfo& layer) {
  if (layer.title.empty()) {
    return std::string(layer.digest.algorithm_text()) + "-" + std::string(layer.digest.hex());
  }
  if (layer.title.size() >= PATH_MAX / 2) return refused(layer, "is longer than 2047 bytes");
  for (const char c : layer.title) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return refused(layer, "has a control character");
  }
  if (layer.title.front() == '/') return refused(layer, "is an absolute path");
  std::string_view rest = layer.title;
  for (std::size_t slash = rest.find('/'); slash != rest.npos; slash = rest.find('/')) {
    TRY_(check_component(layer, rest.substr(0, slash)));
    rest.remove_prefix(slash + 1);
  }
  TRY_(check_component(layer, rest));
  return layer.title;
}

Status link_artifact_files(const ContentStore& content, const CachedImage& artifact,
                           const std::string& dir) {
  const UniqueFd root(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return sys_error(errno, "open", dir);
  for (const LayerInfo& layer : artifact.layers) {
    TRY(std::string name, artifact_file_name(layer));
    TRY(const UniqueFd blob, content.open_blob(layer.digest));
    TRY(const UniqueFd parent, parent_of(root.get(), layer, name));
    // Blobs are readable by root only; in a container any user may read its volume.
    if (::fchmod(blob.get(), 0444) != 0) return sys_error(errno, "chmod", layer.digest.text());
    if (::linkat(blob.get(), "", parent.get(), name.c_str(), AT_EMPTY_PATH) == 0) continue;
    if (errno == EEXIST) return refused(layer, "is that of another blob too");
    return sys_error(errno, "link", quoted(layer.title));
  }
  return {};
}

}  // namespace berth::image
