// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/docker.h"
#include "core/image/archive/store_members.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/oci/json_shape.h"

namespace berth::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kImagesMax = 1000;
constexpr const char* kManifest = "manifest.json";

Error bad(const std::string& field, const std::string& what) {
  return make_error(Errc::invalid_argument, "archive: manifest.json" + field + ": " + what);
}

struct Entry {
  std::string config;               // members
  std::vector<std::string> layers;  // lowest first
  std::vector<oci::Reference> names;
};

Result<std::vector<std::string>> strings(const std::string& field, const Json& from,
                                         const char* name) {
  const auto list = from.find(name);
  std::vector<std::string> all;
  if (list == from.end() || list->is_null()) return all;
  if (!list->is_array()) return bad(field + "." + name, "must be a list");
  for (const Json& item : *list) {
    if (!item.is_string()) return bad(field + "." + name, "must hold strings");
    all.push_back(item.get<std::string>());
  }
  return all;
}

Result<Entry> parse_entry(const ArchiveReader& archive, const std::string& field,
                          const Json& from) {
  if (!from.is_object()) return bad(field, "must be an object");
  const auto config = from.find("Config");
  if (config == from.end() || !config->is_string()) return bad(field + ".Config", "is missing");
  Entry entry;
  TRY(entry.config, archive.resolve(kManifest + field + ".Config", config->get<std::string>()));
  TRY(const std::vector<std::string> layers, strings(field, from, "Layers"));
  if (layers.size() > oci::kLayersMax) return bad(field + ".Layers", "has more than 512 entries");
  for (const std::string& layer : layers) {
    TRY(std::string member, archive.resolve(kManifest + field + ".Layers", layer));
    entry.layers.push_back(std::move(member));
  }
  TRY(const std::vector<std::string> names, strings(field, from, "RepoTags"));
  for (const std::string& name : names) {
    Result<oci::Reference> reference = oci::parse_reference(name);
    if (!reference.ok()) {
      return std::move(reference).error().with("archive: " + std::string(kManifest) + field);
    }
    reference->digest = {};
    if (!reference->tag.empty()) entry.names.push_back(*std::move(reference));
  }
  return entry;
}

Result<std::vector<Entry>> parse_entries(const ArchiveReader& archive) {
  TRY(const auto documents, archive.read({kManifest}, oci::kDocumentSizeMax));
  TRY_(oci::check_json_shape("archive: manifest.json", documents.at(kManifest)));
  const Json list = Json::parse(documents.at(kManifest), nullptr, false);
  if (!list.is_array()) return bad("", "must be a list");
  if (list.empty()) return bad("", "names no image");
  if (list.size() > kImagesMax) return bad("", "names more than 1000 images");
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(Entry entry, parse_entry(archive, "[" + std::to_string(i) + "]", list[i]));
    entries.push_back(std::move(entry));
  }
  return entries;
}

struct Blob {
  oci::Digest digest;
  std::string media_type;
};

std::string layer_media_type(std::string_view head) {
  const std::string plain = "application/vnd.oci.image.layer.v1.tar";
  if (head.starts_with("\x1f\x8b")) return plain + "+gzip";
  if (head.starts_with("\x28\xb5\x2f\xfd")) return plain + "+zstd";
  return plain;
}

// The digest of each member, and what the first bytes say it is.
Result<std::map<std::string, Blob>> examine(const ArchiveReader& archive,
                                            const std::set<std::string>& members) {
  std::map<std::string, oci::Digester> digesters;
  std::map<std::string, std::string> heads;
  for (const std::string& member : members) digesters[member];
  TRY_(archive.walk(members, [&](const std::string& name, std::string_view piece) -> Status {
    digesters[name].update(piece.data(), piece.size());
    std::string& head = heads[name];
    if (head.size() < 4) head += piece.substr(0, 4 - head.size());
    return {};
  }));
  std::map<std::string, Blob> blobs;
  for (auto& [name, digester] : digesters) {
    blobs[name] = {digester.finish(), layer_media_type(heads[name])};
  }
  return blobs;
}

Json descriptor(const ArchiveReader& archive, const std::string& member, const Blob& blob,
                std::string_view media_type) {
  return {
      {"mediaType", media_type}, {"digest", blob.digest.text()}, {"size", archive.size(member)}};
}

std::string manifest_of(const ArchiveReader& archive, const Entry& entry,
                        const std::map<std::string, Blob>& blobs) {
  Json manifest;
  manifest["schemaVersion"] = 2;
  manifest["mediaType"] = oci::media_type::kImageManifest;
  manifest["config"] =
      descriptor(archive, entry.config, blobs.at(entry.config), oci::media_type::kImageConfig);
  manifest["layers"] = Json::array();
  for (const std::string& layer : entry.layers) {
    const Blob& blob = blobs.at(layer);
    manifest["layers"].push_back(descriptor(archive, layer, blob, blob.media_type));
  }
  return manifest.dump();
}

}  // namespace

Result<std::vector<ArchivedImage>> load_docker_archive(const ArchiveReader& archive,
                                                       ContentStore& content) {
  TRY(const std::vector<Entry> entries, parse_entries(archive));
  std::set<std::string> members;
  for (const Entry& entry : entries) {
    if (archive.size(entry.config) > oci::kDocumentSizeMax) {
      return make_error(Errc::resource_exhausted,
                        "archive: configuration `" + entry.config + "` is larger than 4 MiB");
    }
    members.insert(entry.config);
    members.insert(entry.layers.begin(), entry.layers.end());
  }
  TRY(const auto blobs, examine(archive, members));
  std::map<std::string, oci::Digest> wanted;
  for (const auto& [member, blob] : blobs) {
    TRY(const std::optional<std::uint64_t> present, content.size(blob.digest));
    if (!present) wanted.emplace(member, blob.digest);
  }
  TRY_(store_members(archive, content, wanted));
  std::vector<ArchivedImage> images;
  for (const Entry& entry : entries) {
    const std::string manifest = manifest_of(archive, entry, blobs);
    const oci::Digest digest = oci::digest_of(manifest);
    TRY_(content.put(digest, manifest));
    images.push_back({digest, entry.names});
  }
  return images;
}

}  // namespace berth::image
