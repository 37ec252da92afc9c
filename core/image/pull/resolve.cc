// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/resolve.h"

#include <optional>
#include <utility>

namespace berth::image {
namespace {

// An artifact, or an image whose layers are not encrypted.
Status check_manifest(const oci::Manifest& manifest) {
  if (oci::is_artifact(manifest)) return {};
  for (const oci::Descriptor& layer : manifest.layers) {
    if (layer.media_type.ends_with("+encrypted")) {
      return make_error(Errc::unimplemented, "layer " + layer.digest.text() + " is encrypted");
    }
  }
  return {};
}

}  // namespace

Status check_sizes(const oci::Manifest& manifest, std::uint64_t layer_size_max) {
  if (manifest.config.size > oci::kDocumentSizeMax) {
    return make_error(Errc::invalid_argument, "manifest: config.size: is larger than 4 MiB");
  }
  for (const oci::Descriptor& layer : manifest.layers) {
    if (layer.size <= layer_size_max) continue;
    return make_error(Errc::resource_exhausted, "layer " + layer.digest.text() +
                                                    ": larger than the limit of " +
                                                    std::to_string(layer_size_max) + " bytes");
  }
  return {};
}

std::vector<std::string> blobs_of(const Resolved& resolved) {
  std::vector<std::string> digests = {resolved.manifest.config.digest.text()};
  for (const Resolved::Document& document : resolved.documents) {
    digests.push_back(document.digest.text());
  }
  for (const oci::Descriptor& layer : resolved.manifest.layers) {
    digests.push_back(layer.digest.text());
  }
  return digests;
}

Task<Resolved> resolve_remote(RegistrySession& session, oci::Digest root, oci::Platform platform) {
  constexpr int kDepthMax = 3;  // an index of an index is the deepest known use
  Resolved resolved;
  std::string name = root.empty() ? session.reference().manifest_name() : root.text();
  std::optional<std::uint64_t> announced;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    Result<RemoteDocument> got = co_await session.get_manifest(name).result();
    // Some registries serve a tag but not the digest they report for it: then ask for the tag.
    const bool by_tag = depth == 0 && !root.empty() && session.reference().digest.empty() &&
                        !got.ok() && got.error().is(Errc::not_found);
    if (by_tag) got = co_await session.get_manifest(session.reference().manifest_name()).result();
    const RemoteDocument document = co_await std::move(got);
    if (announced.has_value() && *announced != document.bytes.size()) {
      co_return make_error(Errc::data_loss,
                           "manifest " + name + ": " + std::to_string(document.bytes.size()) +
                               " bytes, the index says " + std::to_string(*announced));
    }
    if (depth == 0) resolved.root_digest = document.digest;
    const oci::DocumentKind kind = co_await oci::document_kind(document.bytes, document.media_type);
    resolved.documents.push_back({document.digest, document.bytes});
    if (kind == oci::DocumentKind::manifest) {
      resolved.manifest = co_await oci::parse_manifest(document.bytes);
      resolved.manifest_digest = document.digest;
      co_await check_manifest(resolved.manifest);
      co_return resolved;
    }
    const oci::Index index = co_await oci::parse_index(document.bytes);
    const oci::Descriptor chosen = co_await oci::choose_platform(index, platform);
    name = chosen.digest.text();
    announced = chosen.size;
  }
  co_return make_error(Errc::invalid_argument, "index " + resolved.root_digest.text() +
                                                   ": indexes are nested more than 3 deep");
}

Task<Resolved> resolve_local(OffloadPool& pool, ContentStore& content, oci::Digest manifest) {
  const auto read = [&content, &manifest] { return content.read(manifest, oci::kDocumentSizeMax); };
  std::string bytes = co_await offload(pool, read);
  Resolved resolved;
  resolved.root_digest = manifest;
  resolved.manifest_digest = manifest;
  resolved.manifest = co_await oci::parse_manifest(bytes);
  Resolved::Document document{manifest, std::move(bytes)};
  resolved.documents.push_back(std::move(document));
  co_await check_manifest(resolved.manifest);
  co_return resolved;
}

Status check_layers(const oci::Manifest& manifest, const oci::Image& config) {
  if (config.diff_ids.size() == manifest.layers.size()) return {};
  return make_error(Errc::invalid_argument, "config: rootfs.diff_ids: has " +
                                                std::to_string(config.diff_ids.size()) +
                                                " entries, the manifest has " +
                                                std::to_string(manifest.layers.size()) + " layers");
}

}  // namespace berth::image
