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

// Ends the chain of sources when the pull is given up.
class StoppableSource final : public ByteSource {
 public:
  StoppableSource(ByteSource& source, std::stop_token stop)
      : source_(source), stop_(std::move(stop)) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    if (stop_.stop_requested()) return make_error(Errc::cancelled, "given up");
    return source_.read(out, size);
  }

 private:
  ByteSource& source_;
  std::stop_token stop_;
};

// A tar ends before its stream does; diff_id is the digest of all of it.
Status drain(ByteSource& source) {
  std::vector<char> rest(64_KiB);
  while (true) {
    TRY(const std::size_t got, source.read(rest.data(), rest.size()));
    if (got == 0) return {};
  }
}

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
                           const oci::Descriptor& blob, std::atomic<std::uint64_t>& fetched,
                           std::atomic<std::uint64_t>& transferred) {
  TRY(const std::optional<std::uint64_t> present, content.size(blob.digest));
  if (present.has_value()) {
    if (*present != blob.size) {
      return make_error(Errc::data_loss,
                        "blob " + blob.digest.text() + ": has " + std::to_string(*present) +
                            " bytes, the manifest says " + std::to_string(blob.size));
    }
    fetched = blob.size;
    return {};
  }
  TRY(Ingest ingest, content.begin(blob.digest, blob.size));
  const bool continued = ingest.offset() > 0;
  TRY_(repository.get_blob(blob, ingest, fetched, transferred));
  Status committed = ingest.commit();
  if (committed.ok() || !continued || !committed.error().is(Errc::data_loss)) return committed;
  // What a crash left may be wrong where the bytes after it are right.
  TRY_(ingest.restart());
  TRY_(repository.get_blob(blob, ingest, fetched, transferred));
  return ingest.commit();
}

Status extract_blocking(ContentStore& content, LayerStore& layers, const LayerTarget& target,
                        const ExtractSpec& spec, std::stop_token stop) {
  const std::string& name = spec.blob.text();
  TRY(UniqueFd file, content.open_blob(spec.blob));
  FileSource compressed(std::move(file), "blob " + name);
  StoppableSource stoppable(compressed, std::move(stop));
  TRY(const std::unique_ptr<ByteSource> inflated, make_inflater(stoppable, name, spec.limits));
  DigestSource tar(*inflated, spec.diff_id.algorithm());
  TRY_(layers.extract(target, name, tar));
  TRY_(drain(tar));
  const oci::Digest actual = tar.finish();
  if (actual == spec.diff_id) return {};
  return make_error(Errc::data_loss, "layer " + name + ": inflates to " + actual.text() +
                                         ", the configuration says diff_id " + spec.diff_id.text());
}

}  // namespace berth::image
