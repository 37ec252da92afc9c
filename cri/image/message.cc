// SPDX-License-Identifier: Apache-2.0
#include "cri/image/message.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/oci/json_shape.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Json = nlohmann::ordered_json;

// "1002" and "1003:1004" are numeric, "www-data:1004" is a name. An image without a user runs as
// root.
void set_user(v1::Image& message, const std::string& user) {
  const std::string name = user.substr(0, user.find(':'));
  std::int64_t uid = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data(), end, uid);
  if (!name.empty() && (parsed.ec != std::errc() || parsed.ptr != end || uid < 0)) {
    message.set_username(name);
    return;
  }
  message.mutable_uid()->set_value(uid);
}

// The repository of "repository:tag" or "repository@digest".
std::string_view repository_of(std::string_view reference) {
  const std::size_t at = reference.find('@');
  if (at != std::string_view::npos) return reference.substr(0, at);
  return reference.substr(0, reference.rfind(':'));
}

Json layer_json(const image::CachedImage& image, std::size_t index,
                const std::vector<LayerDiskUsage>& unpacked) {
  const image::LayerInfo& layer = image.layers[index];
  Json json = {{"digest", layer.digest.text()}, {"size", layer.size}};
  if (image.is_artifact()) {
    json["mediaType"] = layer.media_type;
    if (!layer.title.empty()) json["title"] = layer.title;
    return json;
  }
  json["diffID"] = image.config.diff_ids[index].text();
  json["chainID"] = image.chain_ids[index];
  if (index < unpacked.size()) {
    json["unpackedSize"] = unpacked[index].bytes;
    json["unpackedInodes"] = unpacked[index].inodes;
  }
  return json;
}

// A manifest may hold megabytes of annotations, and a kubelet accepts 16 MiB for the whole list of
// images. A few such artifacts would make the list fail, and with it every removal. Larger
// annotations are therefore left out of the list; the verbose status contains them.
constexpr std::size_t kAnnotationBytesMax = 4096;

std::size_t size_of(const std::map<std::string, std::string>& annotations) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : annotations) bytes += key.size() + value.size();
  return bytes;
}

}  // namespace

v1::Image image_message(const image::ImageEntry& entry) {
  v1::Image message;
  message.set_id(entry.image->id);
  for (const std::string& tag : entry.repo_tags) message.add_repo_tags(tag);
  for (const std::string& digest : entry.repo_digests) message.add_repo_digests(digest);
  // Clients treat size 0 as "unknown" and reject the response.
  message.set_size(std::max<std::uint64_t>(entry.image->size, 1));
  if (!entry.image->is_artifact()) set_user(message, entry.image->config.config.user);
  message.set_pinned(entry.pinned);
  message.mutable_spec()->set_image(entry.image->id);
  if (size_of(entry.image->annotations) > kAnnotationBytesMax) return message;
  for (const auto& [key, value] : entry.image->annotations) {
    (*message.mutable_spec()->mutable_annotations())[key] = value;
  }
  return message;
}

bool image_matches(const image::ImageEntry& entry, const image::ImageName& wanted,
                   const std::string& resolved_id) {
  if (!resolved_id.empty() && entry.image->id == resolved_id) return true;
  const std::size_t slash = wanted.text.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash;
  if (wanted.text.find_first_of("@:", name) != std::string::npos) return false;
  const auto belongs = [&wanted](const std::string& name) {
    return std::any_of(wanted.references.begin(), wanted.references.end(),
                       [&name](const oci::Reference& reference) {
                         return repository_of(name) == reference.repository();
                       });
  };
  return std::any_of(entry.repo_tags.begin(), entry.repo_tags.end(), belongs) ||
         std::any_of(entry.repo_digests.begin(), entry.repo_digests.end(), belongs);
}

std::string image_info_json(const image::ImageEntry& entry,
                            const std::vector<LayerDiskUsage>& unpacked) {
  const image::CachedImage& image = *entry.image;
  Json json;
  json["kind"] = image.is_artifact() ? "artifact" : "image";
  json["manifestDigest"] = image.manifest_digest.text();
  json["size"] = image.size;
  if (image.is_artifact()) {
    json["artifactType"] = image.artifact_type;
    json["annotations"] = image.annotations;
  } else {
    // The field names of containerd, which its clients read.
    json["chainID"] = image.chain_ids.empty() ? "" : image.chain_ids.back();
    json["imageSpec"] = Json::parse(oci::with_valid_text(image.config_json), nullptr, false);
    std::uint64_t total = 0;
    for (const LayerDiskUsage& usage : unpacked) total += usage.bytes;
    json["unpackedSize"] = total;
  }
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    json["layers"].push_back(layer_json(image, i, unpacked));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace berth::cri
