// SPDX-License-Identifier: Apache-2.0
#include "core/oci/image.h"

#include "core/base/text.h"
#include "core/oci/document.h"

namespace berth::oci {
namespace {

using nlohmann::json;

// `TRY_FIELD` would be shorter, but three macros are enough: read NAME of `from` as a string.
Result<std::string> string_member(const Field& from, const char* name) {
  TRY(const Field field, from.member(name));
  return field.string();
}

Result<Platform> parse_platform(const Field& from) {
  Platform platform;
  TRY(platform.architecture, string_member(from, "architecture"));
  TRY(platform.os, string_member(from, "os"));
  TRY(platform.os_version, string_member(from, "os.version"));
  TRY(platform.variant, string_member(from, "variant"));
  return platform;
}

Result<Digest> parse_digest(const Field& field) {
  TRY(const std::string text, field.string());
  if (text.empty()) return field.error("is missing");
  Result<Digest> digest = Digest::parse(text);
  if (!digest.ok()) return field.error(digest.error().subject);
  return digest;
}

Result<Descriptor> parse_descriptor(const Field& from) {
  Descriptor descriptor;
  TRY_(from.must_be_object());
  TRY(descriptor.media_type, string_member(from, "mediaType"));
  TRY(descriptor.artifact_type, string_member(from, "artifactType"));
  TRY(const Field digest, from.member("digest"));
  TRY(descriptor.digest, parse_digest(digest));
  TRY(const Field size, from.member("size"));
  if (!size.present()) return size.error("is missing");
  TRY(descriptor.size, size.number());
  TRY(const Field platform, from.member("platform"));
  if (platform.present()) {
    TRY(descriptor.platform, parse_platform(platform));
  }
  TRY(const Field annotations, from.member("annotations"));
  TRY(descriptor.annotations, annotations.string_map());
  return descriptor;
}

Result<std::vector<Descriptor>> parse_descriptors(const Field& list, std::size_t count_max) {
  std::vector<Descriptor> all;
  if (!list.present()) return all;  // Go writes null for none
  TRY_(list.must_be_array());
  if (list.size() > count_max) {
    return list.error(std::to_string(list.size()) + " entries, more than the " +
                      std::to_string(count_max) + " allowed");
  }
  all.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(Descriptor descriptor, parse_descriptor(list.element(i)));
    all.push_back(std::move(descriptor));
  }
  return all;
}

// Docker's first manifest format has neither digests of its own nor a configuration blob.
Status check_schema_version(const Field& root) {
  TRY(const Field version, root.member("schemaVersion"));
  TRY(const std::uint64_t number, version.number());
  if (!version.present() || number == 2) return {};
  return version.error("is " + std::to_string(number) + ", only 2 is supported");
}

Result<ImageConfig> parse_config(const Field& from) {
  ImageConfig config;
  TRY(config.user, string_member(from, "User"));
  TRY(config.working_dir, string_member(from, "WorkingDir"));
  TRY(config.stop_signal, string_member(from, "StopSignal"));
  TRY(const Field ports, from.member("ExposedPorts"));
  TRY(config.exposed_ports, ports.keys());
  TRY(const Field env, from.member("Env"));
  TRY(config.env, env.strings());
  TRY(const Field entrypoint, from.member("Entrypoint"));
  TRY(config.entrypoint, entrypoint.words());
  // `ENTRYPOINT [""]` is how an inherited entrypoint is taken back.
  if (config.entrypoint == std::vector<std::string>{""}) config.entrypoint.clear();
  TRY(const Field cmd, from.member("Cmd"));
  TRY(config.cmd, cmd.words());
  TRY(const Field volumes, from.member("Volumes"));
  TRY(config.volumes, volumes.keys());
  TRY(const Field labels, from.member("Labels"));
  TRY(config.labels, labels.string_map());
  return config;
}

Result<std::vector<Digest>> parse_diff_ids(const Field& root) {
  TRY(const Field rootfs, root.member("rootfs"));
  TRY(const Field type, rootfs.member("type"));
  TRY(const std::string type_name, type.string());
  // There is no other type, so many leave it out.
  if (!type_name.empty() && type_name != "layers") return type.error("must be \"layers\"");
  TRY(const Field list, rootfs.member("diff_ids"));
  std::vector<Digest> all;
  if (!list.present()) return all;
  TRY_(list.must_be_array());
  if (list.size() > kLayersMax) return list.error("has more than 512 entries");
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(Digest digest, parse_digest(list.element(i)));
    all.push_back(std::move(digest));
  }
  return all;
}

}  // namespace

bool is_index_media_type(std::string_view type) noexcept {
  return type == media_type::kImageIndex || type == media_type::kDockerManifestList;
}
bool is_manifest_media_type(std::string_view type) noexcept {
  return type == media_type::kImageManifest || type == media_type::kDockerManifest;
}
bool is_image_config_media_type(std::string_view type) noexcept {
  return type == media_type::kImageConfig || type == media_type::kDockerConfig;
}

Result<DocumentKind> document_kind(std::string_view text, std::string_view content_type) {
  TRY(const json document, parse_document("manifest", text));
  const Field root("manifest", document);
  TRY_(check_schema_version(root));
  TRY(const Field field, root.member("mediaType"));
  TRY(const std::string own, field.string());
  const bool known = is_index_media_type(own) || is_manifest_media_type(own);
  if (!own.empty() && !known) return field.error(quoted(own, 80) + " is not an image");
  const std::string_view type = own.empty() ? content_type : std::string_view(own);
  TRY(const Field manifests, root.member("manifests"));
  TRY(const Field layers, root.member("layers"));
  // A document that is both would mean different images to different readers.
  if (manifests.present() && layers.present()) {
    return root.error("has both `manifests` and `layers`");
  }
  if (is_index_media_type(type)) return DocumentKind::index;
  if (is_manifest_media_type(type)) return DocumentKind::manifest;
  if (manifests.present()) return DocumentKind::index;
  if (layers.present()) return DocumentKind::manifest;
  return root.error("is neither an index nor a manifest");
}

Result<Manifest> parse_manifest(std::string_view text) {
  TRY(const json document, parse_document("manifest", text));
  const Field root("manifest", document);
  TRY_(check_schema_version(root));
  Manifest manifest;
  TRY(manifest.media_type, string_member(root, "mediaType"));
  TRY(manifest.artifact_type, string_member(root, "artifactType"));
  TRY(const Field config, root.member("config"));
  TRY(manifest.config, parse_descriptor(config));
  TRY(const Field layers, root.member("layers"));
  TRY(manifest.layers, parse_descriptors(layers, kLayersMax));
  TRY(const Field annotations, root.member("annotations"));
  TRY(manifest.annotations, annotations.string_map());
  return manifest;
}

// An image may have a type of artifact beside its configuration, and can be run all the same.
bool is_artifact(const Manifest& manifest) noexcept {
  if (is_image_config_media_type(manifest.config.media_type)) return false;
  if (!manifest.artifact_type.empty()) return true;
  // Docker's registries hold old images whose config has no type of its own.
  if (manifest.media_type == media_type::kDockerManifest &&
      (manifest.config.media_type.empty() ||
       manifest.config.media_type == "application/octet-stream")) {
    return false;
  }
  return true;
}

const std::string& artifact_type_of(const Manifest& manifest) noexcept {
  return manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
}

Result<Index> parse_index(std::string_view text) {
  constexpr std::size_t kManifestsMax = 10'000;
  TRY(const json document, parse_document("index", text));
  const Field root("index", document);
  TRY_(check_schema_version(root));
  Index index;
  TRY(index.media_type, string_member(root, "mediaType"));
  TRY(const Field manifests, root.member("manifests"));
  TRY(index.manifests, parse_descriptors(manifests, kManifestsMax));
  return index;
}

Result<Image> parse_image(std::string_view text) {
  TRY(const json document, parse_document("config", text));
  const Field root("config", document);
  Image image;
  TRY(image.created, string_member(root, "created"));
  TRY(image.author, string_member(root, "author"));
  TRY(image.platform, parse_platform(root));
  TRY(const Field config, root.member("config"));
  TRY(image.config, parse_config(config));
  TRY(image.diff_ids, parse_diff_ids(root));
  return image;
}

std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> chain;
  chain.reserve(diff_ids.size());
  for (const Digest& diff_id : diff_ids) {
    // image-spec config.md: ChainID(L0) = DiffID(L0), then the digest of "parent diff_id" as text.
    chain.push_back(chain.empty() ? diff_id
                                  : digest_of(chain.back().text() + " " + diff_id.text()));
  }
  return chain;
}

}  // namespace berth::oci
