// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive_load.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/image/archive_docker.h"

namespace berth::image {
namespace {

constexpr int kIndexDepthMax = 4;
constexpr std::size_t kImagesMax = 1000;

std::string blob_path(const oci::Digest& digest) {
  return "blobs/" + std::string(digest.algorithm_text()) + "/" + std::string(digest.hex());
}

std::string annotation(const oci::Descriptor& descriptor, const char* key) {
  const auto found = descriptor.annotations.find(key);
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

// containerd's whole name; else the specification's, which may be no more than a tag.
Result<std::optional<Reference>> name_of(const oci::Descriptor& descriptor) {
  std::string name = annotation(descriptor, "io.containerd.image.name");
  if (name.empty()) {
    name = annotation(descriptor, "org.opencontainers.image.ref.name");
    if (name.find_first_of("/:") == std::string::npos) return std::optional<Reference>();
  }
  TRY(Reference reference, parse_reference(name));
  if (reference.tag.empty()) return std::optional<Reference>();
  reference.digest = {};
  return std::optional<Reference>(std::move(reference));
}

class LayoutLoader {
 public:
  LayoutLoader(const ArchiveReader& archive, ContentStore& content, const oci::Platform& platform)
      : archive_(archive), content_(content), platform_(platform) {}

  Result<std::vector<ArchivedImage>> load() {
    TRY(const std::string text, document("index.json"));
    Result<oci::Index> index = oci::parse_index(text);
    if (!index.ok()) return std::move(index).error().with("archive: index.json");
    if (index->manifests.size() > kImagesMax) {
      return make_error(Errc::resource_exhausted,
                        "archive: index.json names more than 1000 images");
    }
    if (index->manifests.empty()) {
      return make_error(Errc::not_found,
                        "archive: index.json names no image for " + platform_.text());
    }
    for (const oci::Descriptor& descriptor : index->manifests) {
      TRY(std::optional<Reference> name, name_of(descriptor));
      named_.push_back({descriptor, std::move(name), std::nullopt});
    }
    TRY_(find_manifests());
    TRY_(store_members(archive_, content_, wanted_));
    return images();
  }

 private:
  // A line of index.json and the manifest that it leads to.
  struct Named {
    oci::Descriptor at;  // the manifest, or an index on the way to it
    std::optional<Reference> name;
    std::optional<oci::Digest> manifest;
  };

  Result<std::string> document(const std::string& name) {
    TRY(auto found, archive_.read({name}, oci::kDocumentSizeMax));
    return std::move(found.begin()->second);
  }

  // One walk for each level of indexes, however many images there are.
  Status find_manifests() {
    for (int depth = 0; depth < kIndexDepthMax; ++depth) {
      std::map<std::string, std::vector<Named*>> open;  // by the document's member
      for (Named& named : named_) {
        if (!named.manifest) open[blob_path(named.at.digest)].push_back(&named);
      }
      if (open.empty()) return {};
      std::set<std::string> paths;
      for (const auto& [path, lines] : open) {
        if (!archive_.has(path)) {
          return make_error(Errc::invalid_argument, "archive: " + path + " is missing");
        }
        paths.insert(path);
      }
      const auto take = [&](const std::string& path, std::string text) {
        return take_document(path, text, open.at(path));
      };
      TRY_(archive_.read_each(paths, oci::kDocumentSizeMax, take));
    }
    for (const Named& named : named_) {
      if (named.manifest) continue;
      return make_error(Errc::invalid_argument,
                        "archive: index " + named.at.digest.text() + ": indexes in indexes");
    }
    return {};
  }

  // A manifest or an index that `lines` lead to.
  Status take_document(const std::string& path, const std::string& text,
                       const std::vector<Named*>& lines) {
    const oci::Descriptor at = lines.front()->at;
    if (oci::digest_of(text, at.digest.algorithm()) != at.digest) {
      return make_error(Errc::data_loss, "archive: " + path + " has another digest");
    }
    TRY(const oci::DocumentKind kind, oci::document_kind(text, at.media_type));
    if (kind == oci::DocumentKind::manifest) {
      TRY_(take_manifest(at.digest, text));
      for (Named* line : lines) line->manifest = at.digest;
      return {};
    }
    TRY(const oci::Index index, oci::parse_index(text));
    TRY(const oci::Descriptor chosen, oci::choose_platform(index, platform_));
    for (Named* line : lines) line->at = chosen;
    return {};
  }

  Status take_manifest(const oci::Digest& digest, const std::string& text) {
    TRY(const oci::Manifest manifest, oci::parse_manifest(text));
    TRY_(want(manifest.config));
    for (const oci::Descriptor& layer : manifest.layers) TRY_(want(layer));
    return content_.put(digest, text);
  }

  // In the order of index.json.
  std::vector<ArchivedImage> images() {
    std::vector<ArchivedImage> all;
    for (Named& named : named_) {
      const auto same = [&named](const ArchivedImage& image) {
        return image.manifest_digest == *named.manifest;
      };
      auto image = std::find_if(all.begin(), all.end(), same);
      if (image == all.end()) image = all.insert(all.end(), {*named.manifest, {}});
      if (named.name) image->names.push_back(*std::move(named.name));
    }
    return all;
  }

  Status want(const oci::Descriptor& blob) {
    const std::string path = blob_path(blob.digest);
    TRY(const std::optional<std::uint64_t> present, content_.size(blob.digest));
    if (present) return {};
    if (!archive_.has(path)) {
      return make_error(Errc::invalid_argument, "archive: " + path + " is missing");
    }
    if (archive_.size(path) != blob.size) {
      return make_error(Errc::data_loss,
                        "archive: " + path + " has " + std::to_string(archive_.size(path)) +
                            " bytes, its descriptor says " + std::to_string(blob.size));
    }
    wanted_.emplace(path, blob.digest);
    return {};
  }

  const ArchiveReader& archive_;
  ContentStore& content_;
  const oci::Platform& platform_;
  std::vector<Named> named_;
  std::map<std::string, oci::Digest> wanted_;  // member -> digest
};

}  // namespace

Status store_members(const ArchiveReader& archive, ContentStore& content,
                     const std::map<std::string, oci::Digest>& wanted) {
  std::set<std::string> names;
  for (const auto& [name, digest] : wanted) names.insert(name);
  // Members come one after the other, so at most one blob is on its way.
  std::optional<Ingest> ingest;
  std::string current;
  const auto finish = [&]() -> Status {
    if (!ingest) return {};
    Status committed = ingest->commit();
    ingest.reset();
    if (!committed.ok()) return std::move(committed).error().with("archive: " + current);
    return {};
  };
  TRY_(archive.walk(names, [&](const std::string& name, std::string_view piece) -> Status {
    if (name != current) {
      TRY_(finish());
      current = name;
      // A pull of the same blob may be under way.
      TRY(Ingest begun, content.begin_unnamed(wanted.at(name), archive.size(name)));
      ingest.emplace(std::move(begun));
    }
    return ingest->write(piece.data(), piece.size());
  }));
  TRY_(finish());
  // A member without a byte is never seen by the walk.
  for (const auto& [name, digest] : wanted) {
    if (archive.size(name) == 0) TRY_(content.put(digest, ""));
  }
  return {};
}

Result<std::vector<ArchivedImage>> load_archive(int fd, ContentStore& content,
                                                const oci::Platform& platform,
                                                const ArchiveLimits& limits) {
  TRY(const ArchiveReader archive, ArchiveReader::open(fd, limits));
  if (archive.has("index.json")) return LayoutLoader(archive, content, platform).load();
  if (archive.has("manifest.json")) return load_docker_archive(archive, content);
  return make_error(Errc::invalid_argument,
                    "archive: has neither index.json (oci-layout) nor manifest.json "
                    "(docker-archive)");
}

}  // namespace berth::image
