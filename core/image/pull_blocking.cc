// SPDX-License-Identifier: Apache-2.0
// The steps of a pull that block, one function each, without any state of the Puller.
#include "core/base/units.h"
#include "core/image/inflate.h"
#include "core/image/pull_job.h"

namespace berth::image {
namespace {

Status check_manifest(const oci::Manifest& manifest) {
  const std::string& type = manifest.config.media_type;
  if (!manifest.artifact_type.empty() || !oci::is_image_config_media_type(type)) {
    return make_error(Errc::unimplemented,
                      "it is an artifact of type `" +
                          (manifest.artifact_type.empty() ? type : manifest.artifact_type) +
                          "`, not an image of a container");
  }
  for (const oci::Descriptor& layer : manifest.layers) {
    if (layer.media_type.ends_with("+encrypted")) {
      return make_error(Errc::unimplemented, "layer " + layer.digest.text() + " is encrypted");
    }
  }
  return {};
}

// A file whose reading ends when the pull is given up.
class StoppableFile final : public ByteSource {
 public:
  StoppableFile(UniqueFd file, std::string name, std::stop_token stop)
      : source_(std::move(file), std::move(name)), stop_(std::move(stop)) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    if (stop_.stop_requested()) return make_error(Errc::cancelled, "given up");
    return source_.read(out, size);
  }

 private:
  FileSource source_;
  std::stop_token stop_;
};

}  // namespace

Result<Resolved> resolve_manifest(Repository& repository, const Reference& reference,
                                  const oci::Digest& root, const oci::Platform& platform) {
  constexpr int kDepthMax = 3;  // an index of an index is the most that anyone makes
  Resolved resolved;
  std::string name = root.empty() ? reference.manifest_name() : root.text();
  std::optional<std::uint64_t> announced;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    TRY(RemoteDocument document, repository.get_manifest(name));
    if (announced.has_value() && *announced != document.bytes.size()) {
      return make_error(Errc::data_loss,
                        "manifest " + name + ": " + std::to_string(document.bytes.size()) +
                            " bytes, the index says " + std::to_string(*announced));
    }
    if (depth == 0) resolved.root_digest = document.digest;
    TRY(const oci::DocumentKind kind, oci::document_kind(document.bytes, document.media_type));
    resolved.documents.push_back({document.digest, document.bytes});
    if (kind == oci::DocumentKind::manifest) {
      TRY(resolved.manifest, oci::parse_manifest(document.bytes));
      resolved.manifest_digest = document.digest;
      TRY_(check_manifest(resolved.manifest));
      return resolved;
    }
    TRY(const oci::Index index, oci::parse_index(document.bytes));
    TRY(const oci::Descriptor chosen, oci::choose_platform(index, platform));
    name = chosen.digest.text();
    announced = chosen.size;
  }
  return make_error(Errc::invalid_argument, "index " + resolved.root_digest.text() +
                                                ": indexes are nested more than 3 deep");
}

Status check_layers(const oci::Manifest& manifest, const oci::Image& config) {
  if (config.diff_ids.size() == manifest.layers.size()) return {};
  return make_error(Errc::invalid_argument, "config: rootfs.diff_ids: has " +
                                                std::to_string(config.diff_ids.size()) +
                                                " entries, the manifest has " +
                                                std::to_string(manifest.layers.size()) + " layers");
}

Status fetch_blob_blocking(Repository& repository, ContentStore& content,
                           const oci::Descriptor& blob, std::shared_ptr<Arrival> arrival,
                           std::atomic<std::uint64_t>& fetched,
                           std::atomic<std::uint64_t>& transferred) {
  TRY(const std::optional<std::uint64_t> present, content.size(blob.digest));
  if (present.has_value()) {
    if (*present != blob.size) {
      return make_error(Errc::data_loss,
                        "blob " + blob.digest.text() + ": has " + std::to_string(*present) +
                            " bytes, the manifest says " + std::to_string(blob.size));
    }
    fetched = blob.size;
    if (arrival == nullptr) return {};
    TRY(const UniqueFd file, content.open_blob(blob.digest));
    return arrival->opened(file.get(), blob.size);
  }
  TRY(Ingest ingest, content.begin(blob.digest, blob.size));
  if (arrival != nullptr) TRY_(ingest.announce(std::move(arrival)));
  const bool continued = ingest.offset() > 0;
  TRY_(repository.get_blob(blob, ingest, fetched, transferred));
  Status committed = ingest.commit();
  if (committed.ok() || !continued || !committed.error().is(Errc::data_loss)) return committed;
  // What a crash left may be wrong where the bytes after it are right.
  TRY_(ingest.restart());
  TRY_(repository.get_blob(blob, ingest, fetched, transferred));
  return ingest.commit();
}

Result<std::unique_ptr<ByteSource>> open_layer_blob(ContentStore& content, const oci::Digest& blob,
                                                    std::shared_ptr<Arrival> arrival,
                                                    std::stop_token stop) {
  std::string name = "blob " + blob.text();
  std::unique_ptr<ByteSource> source;
  if (arrival != nullptr) {
    source = std::make_unique<ArrivingSource>(std::move(arrival), std::move(name), std::move(stop));
    return source;
  }
  TRY(UniqueFd file, content.open_blob(blob));
  source = std::make_unique<StoppableFile>(std::move(file), std::move(name), std::move(stop));
  return source;
}

}  // namespace berth::image
