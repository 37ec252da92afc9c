// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/layout.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/base/text.h"
#include "core/image/archive/docker.h"
#include "core/image/archive/store_members.h"

namespace berth::image {
namespace {

constexpr int kIndexDepthMax = 4;
constexpr std::size_t kImagesMax = 1000;
constexpr std::size_t kTypeShown = 80;

std::string blob_path(const oci::Digest& digest) {
  return "blobs/" + std::string(digest.algorithm_text()) + "/" + std::string(digest.hex());
}

std::string annotation(const oci::Descriptor& descriptor, const char* key) {
  const auto found = descriptor.annotations.find(key);
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

// containerd's annotation has the whole name; the specification's may have only a tag.
Result<std::optional<oci::Reference>> name_of(const oci::Descriptor& descriptor) {
  std::string name = annotation(descriptor, "io.containerd.image.name");
  if (name.empty()) {
    name = annotation(descriptor, "org.opencontainers.image.ref.name");
    if (name.find_first_of("/:") == std::string::npos) return std::optional<oci::Reference>();
  }
  TRY(oci::Reference reference, oci::parse_reference(name));
  if (reference.tag.empty()) return std::optional<oci::Reference>();
  reference.digest = {};
  return std::optional<oci::Reference>(std::move(reference));
}

// Why an entry of index.json is skipped; empty: it may be an image.
std::string no_image(const oci::Descriptor& entry) {
  const std::string& type = entry.media_type;
  const bool known =
      type.empty() || oci::is_index_media_type(type) || oci::is_manifest_media_type(type);
  if (!known) return "has media type " + quoted(type, kTypeShown);
  if (entry.annotations.count("vnd.docker.reference.type") != 0) return "is an attestation";
  return {};
}

// cosign keeps signatures under manifests whose configuration is an image's.
std::string no_layers(const oci::Manifest& manifest) {
  if (oci::is_artifact(manifest)) return {};
  for (const oci::Descriptor& layer : manifest.layers) {
    if (layer.media_type.ends_with("+json")) {
      return "has no layers, but " + quoted(layer.media_type, kTypeShown);
    }
  }
  return {};
}

class LayoutLoader {
 public:
  LayoutLoader(const ArchiveReader& archive, ContentStore& content, const oci::Platform& platform)
      : archive_(archive), content_(content), platform_(platform) {}

  Result<LoadedArchive> load() {
    TRY(const std::string text, document("index.json"));
    Result<oci::Index> index = oci::parse_index(text);
    if (!index.ok()) return std::move(index).error().with("archive: index.json");
    if (index->manifests.size() > kImagesMax) {
      return make_error(Errc::resource_exhausted,
                        "archive: index.json names more than 1000 images");
    }
    if (index->manifests.empty() && archive_.has("manifest.json")) {
      TRY(std::vector<ArchivedImage> images, load_docker_archive(archive_, content_));
      return LoadedArchive{std::move(images)};
    }
    for (const oci::Descriptor& descriptor : index->manifests) {
      TRY(std::optional<oci::Reference> name, name_of(descriptor));
      named_.push_back({descriptor.digest, descriptor, std::move(name), std::nullopt, {}, {}});
      named_.back().why_not = no_image(descriptor);
    }
    pass_over_other_platforms();
    TRY_(find_manifests());
    LoadedArchive loaded = outcome();
    if (loaded.images.empty()) return nothing(loaded.passed_over);
    TRY_(store_members(archive_, content_, wanted_));
    return loaded;
  }

 private:
  // A line of index.json and the manifest that it leads to.
  struct Named {
    oci::Digest digest;  // of the line
    oci::Descriptor at;  // the manifest, or an index on the way to it
    std::optional<oci::Reference> name;
    std::optional<oci::Digest> manifest;
    std::string why_not;           // it is passed over
    std::optional<Error> failure;  // that is why, if there is one
  };

  Result<std::string> document(const std::string& name) {
    TRY(auto found, archive_.read({name}, oci::kDocumentSizeMax));
    return std::move(found.begin()->second);
  }

  // If index.json has one name for several platforms, the entries of the others are skipped.
  void pass_over_other_platforms() {
    const auto fits = [this](const Named& named) {
      return !named.at.platform.has_value() || oci::platform_matches(platform_, *named.at.platform);
    };
    for (Named& named : named_) {
      if (fits(named) || !named.why_not.empty()) continue;
      const bool another = std::any_of(named_.begin(), named_.end(), [&](const Named& other) {
        return other.why_not.empty() && fits(other) &&
               (!named.name.has_value() ||
                (other.name.has_value() && other.name->text() == named.name->text()));
      });
      if (another) named.why_not = "is for " + shortened(named.at.platform->text(), kTypeShown);
    }
  }

  // One walk for each level of indexes, however many images there are.
  Status find_manifests() {
    for (int depth = 0; depth < kIndexDepthMax; ++depth) {
      std::map<std::string, std::vector<Named*>> open;  // by the document's member
      for (Named& named : named_) {
        const bool done = named.manifest.has_value() || !named.why_not.empty();
        if (!done) open[blob_path(named.at.digest)].push_back(&named);
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
      if (named.manifest || !named.why_not.empty()) continue;
      return make_error(Errc::invalid_argument,
                        "archive: index " + named.at.digest.text() + ": indexes in indexes");
    }
    return {};
  }

  // A manifest or an index that `lines` lead to. One that cannot be understood is passed over.
  Status take_document(const std::string& path, const std::string& text,
                       const std::vector<Named*>& lines) {
    const oci::Descriptor at = lines.front()->at;
    if (oci::digest_of(text, at.digest.algorithm()) != at.digest) {
      return make_error(Errc::data_loss, "archive: " + path + " has another digest");
    }
    Result<std::optional<oci::Descriptor>> next = next_of(at, text);
    std::string why_not;
    if (!next.ok()) {
      why_not = next.error().message();
    } else if (!next->has_value()) {
      TRY(const oci::Manifest manifest, oci::parse_manifest(text));
      why_not = no_layers(manifest);
      if (why_not.empty() && oci::is_artifact(manifest)) why_not = missing_of(manifest);
      if (why_not.empty()) TRY_(take_manifest(at.digest, text, manifest));
    }
    for (Named* line : lines) {
      line->why_not = why_not;
      if (!next.ok()) line->failure = next.error();
      if (!why_not.empty()) continue;
      if (next->has_value()) {
        line->at = **next;
      } else {
        line->manifest = at.digest;
      }
    }
    return {};
  }

  // Where an index leads on this platform; nullopt: it is a manifest.
  Result<std::optional<oci::Descriptor>> next_of(const oci::Descriptor& at,
                                                 const std::string& text) const {
    TRY(const oci::DocumentKind kind, oci::document_kind(text, at.media_type));
    if (kind == oci::DocumentKind::manifest) {
      TRY([[maybe_unused]] const oci::Manifest manifest, oci::parse_manifest(text));
      return std::optional<oci::Descriptor>();
    }
    TRY(const oci::Index index, oci::parse_index(text));
    TRY(oci::Descriptor chosen, oci::choose_platform(index, platform_));
    return std::optional(std::move(chosen));
  }

  // Archives often have the manifest of a signature without its blobs.
  std::string missing_of(const oci::Manifest& manifest) const {
    std::vector<oci::Descriptor> blobs = manifest.layers;
    blobs.push_back(manifest.config);
    for (const oci::Descriptor& blob : blobs) {
      if (archive_.has(blob_path(blob.digest))) continue;
      const Result<std::optional<std::uint64_t>> present = content_.size(blob.digest);
      if (present.ok() && present->has_value()) continue;
      return "is an artifact whose blob " + blob.digest.text() + " is missing";
    }
    return {};
  }

  Status take_manifest(const oci::Digest& digest, const std::string& text,
                       const oci::Manifest& manifest) {
    TRY_(want(manifest.config));
    for (const oci::Descriptor& layer : manifest.layers) TRY_(want(layer));
    return content_.put(digest, text);
  }

  // In the order of index.json.
  LoadedArchive outcome() {
    LoadedArchive all;
    for (Named& named : named_) {
      if (!named.manifest.has_value()) {
        all.passed_over.push_back({named.digest.text(), named.why_not});
        continue;
      }
      const auto same = [&named](const ArchivedImage& image) {
        return image.manifest_digest == *named.manifest;
      };
      auto image = std::find_if(all.images.begin(), all.images.end(), same);
      if (image == all.images.end()) {
        image = all.images.insert(all.images.end(), {*named.manifest, {}});
      }
      if (named.name) image->names.push_back(*std::move(named.name));
    }
    return all;
  }

  Error nothing(const std::vector<PassedOver>& passed_over) const {
    constexpr std::size_t kNamed = 8;
    // A single entry that failed: its own error says more than "no image for this platform".
    if (named_.size() == 1 && named_[0].failure.has_value()) return *named_[0].failure;
    std::string text = "archive: index.json names no image for " + platform_.text();
    for (std::size_t i = 0; i < std::min(passed_over.size(), kNamed); ++i) {
      text += (i == 0 ? ": " : "; ") + passed_over[i].digest + " " + passed_over[i].reason;
    }
    return make_error(Errc::not_found, std::move(text));
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

Result<LoadedArchive> load_layout(const ArchiveReader& archive, ContentStore& content,
                                  const oci::Platform& platform) {
  return LayoutLoader(archive, content, platform).load();
}

}  // namespace berth::image
