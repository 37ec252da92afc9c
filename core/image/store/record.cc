// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/record.h"

#include "core/store/record.h"

namespace berth::image {

namespace {

void put_layers(store::RecordWriter& writer, const std::vector<LayerInfo>& layers) {
  writer.u32(static_cast<std::uint32_t>(layers.size()));
  for (const LayerInfo& layer : layers) writer.string(layer.digest.text()).u64(layer.size);
}

// They end the record.
Result<std::vector<LayerInfo>> get_layers(store::RecordReader& reader) {
  const std::uint32_t count = reader.u32();
  if (count > oci::kLayersMax) return make_error(Errc::invalid_argument, "too many layers");
  std::vector<LayerInfo> layers;
  for (std::uint32_t i = 0; i < count; ++i) {
    LayerInfo layer;
    TRY(layer.digest, oci::Digest::parse(reader.string()));
    layer.size = reader.u64();
    layers.push_back(std::move(layer));
  }
  if (reader.truncated()) return make_error(Errc::invalid_argument, "the record is cut short");
  return layers;
}

}  // namespace

std::string encode_image(const CachedImage& image) {
  store::RecordWriter writer;
  writer.string(image.manifest_digest.text()).string(image.config_json);
  put_layers(writer, image.layers);
  return writer.bytes();
}

std::string encode_manifest(const CachedImage& image) {
  store::RecordWriter writer;
  writer.string(image.id);
  put_layers(writer, image.layers);
  return writer.bytes();
}

Result<ManifestRecord> decode_manifest(std::string_view record) {
  store::RecordReader reader(record);
  ManifestRecord manifest;
  manifest.id = reader.string();
  TRY(manifest.layers, get_layers(reader));
  return manifest;
}

Result<std::shared_ptr<const CachedImage>> decode_image(std::string_view id,
                                                        std::string_view record) {
  store::RecordReader reader(record);
  TRY(oci::Digest parsed_id, oci::Digest::parse(id));
  TRY(oci::Digest manifest_digest, oci::Digest::parse(reader.string()));
  std::string config_json(reader.string());
  TRY(std::vector<LayerInfo> layers, get_layers(reader));
  return make_image(std::move(parsed_id), std::move(manifest_digest), std::move(config_json),
                    std::move(layers));
}

Result<std::shared_ptr<const CachedImage>> decode_artifact(std::string_view id,
                                                           std::string_view manifest_json) {
  constexpr const char* kTitle = "org.opencontainers.image.title";
  auto artifact = std::make_shared<CachedImage>();
  TRY(artifact->manifest_digest, oci::Digest::parse(id));
  const oci::Digest& digest = artifact->manifest_digest;
  if (oci::digest_of(manifest_json, digest.algorithm()) != digest) {
    return make_error(Errc::data_loss,
                      "artifact " + digest.text() + ": the manifest has another digest");
  }
  TRY(oci::Manifest manifest, oci::parse_manifest(manifest_json));
  artifact->kind = ImageKind::artifact;
  artifact->id = digest.text();
  artifact->artifact_type = oci::artifact_type_of(manifest);
  artifact->artifact_config = std::move(manifest.config.digest);
  artifact->annotations = std::move(manifest.annotations);
  artifact->size = manifest_json.size() + manifest.config.size;
  for (oci::Descriptor& blob : manifest.layers) {
    LayerInfo layer{.digest = std::move(blob.digest), .size = blob.size};
    const auto title = blob.annotations.find(kTitle);
    if (title != blob.annotations.end()) layer.title = title->second;
    layer.media_type = std::move(blob.media_type);
    artifact->size += layer.size;
    artifact->layers.push_back(std::move(layer));
  }
  return std::shared_ptr<const CachedImage>(std::move(artifact));
}

Result<std::shared_ptr<const CachedImage>> make_image(oci::Digest id, oci::Digest manifest_digest,
                                                      std::string config_json,
                                                      std::vector<LayerInfo> layers) {
  auto image = std::make_shared<CachedImage>();
  if (oci::digest_of(config_json, id.algorithm()) != id) {
    return make_error(Errc::data_loss,
                      "image " + id.text() + ": the configuration has another digest");
  }
  TRY(image->config, oci::parse_image(config_json));
  if (image->config.diff_ids.size() != layers.size()) {
    return make_error(Errc::invalid_argument, "image " + id.text() + ": the configuration lists " +
                                                  std::to_string(image->config.diff_ids.size()) +
                                                  " layers (rootfs.diff_ids), the manifest " +
                                                  std::to_string(layers.size()));
  }
  image->id = id.text();
  image->manifest_digest = std::move(manifest_digest);
  image->size = config_json.size();
  for (const LayerInfo& layer : layers) image->size += layer.size;
  for (const oci::Digest& chain : oci::chain_ids(image->config.diff_ids)) {
    image->chain_ids.push_back(chain.text());
  }
  image->config_json = std::move(config_json);
  image->layers = std::move(layers);
  return std::shared_ptr<const CachedImage>(std::move(image));
}

}  // namespace berth::image
