// SPDX-License-Identifier: Apache-2.0
// The documents of an image: index, manifest and configuration (OCI image-spec 1.1, and Docker's
// schema 2 where it differs only in media types). Fields carry the specifications' names, in
// snake_case. Values come from strangers: parse_* bounds the size, checks every type, and names the
// field that is wrong, as in "manifest: layers[2].size: must be a number, is a string". Unknown
// fields are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "core/oci/digest.h"

namespace berth::oci {

constexpr std::size_t kDocumentSizeMax = 4_MiB;  // of any document below; larger is refused
constexpr std::size_t kLayersMax = 512;

namespace media_type {
constexpr std::string_view kImageIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kImageManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kImageConfig = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kDockerManifestList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
}  // namespace media_type

bool is_index_media_type(std::string_view type) noexcept;
bool is_manifest_media_type(std::string_view type) noexcept;
bool is_image_config_media_type(std::string_view type) noexcept;

struct Platform {
  std::string architecture;
  std::string os;
  std::string os_version;
  std::string variant;

  std::string text() const;  // "linux/arm64/v8"
};

// linux and the architecture that this program was built for.
Platform host_platform();
// Whether an image for `offered` runs on `wanted`. An empty variant is the architecture's default
// one (amd64: v1, arm64: v8, arm: v7); a lower variant of amd64 and arm runs on a higher one.
bool platform_matches(const Platform& wanted, const Platform& offered);

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;
  std::string artifact_type;
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;
};

struct Manifest {
  std::string media_type;
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
  std::map<std::string, std::string> annotations;
};

// A manifest of something that is not run: its config is no image configuration.
bool is_artifact(const Manifest& manifest) noexcept;
// artifactType; where a manifest has none, the media type of its config stands for it (image-spec
// 1.1, manifest.md).
const std::string& artifact_type_of(const Manifest& manifest) noexcept;

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

// The object `config` of the configuration: what a container of the image runs by default.
struct ImageConfig {
  std::string user;
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> volumes;
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
};

struct Image {
  std::string created;
  std::string author;
  Platform platform;
  ImageConfig config;
  std::vector<Digest>
      diff_ids;  // rootfs.diff_ids: digests of the uncompressed layers, lowest first
};

// What a manifest URL answered: by its own mediaType, else by `content_type`, else by its fields.
enum class DocumentKind { index, manifest };
Result<DocumentKind> document_kind(std::string_view json, std::string_view content_type);

Result<Manifest> parse_manifest(std::string_view json);
Result<Index> parse_index(std::string_view json);
Result<Image> parse_image(std::string_view json);

// The entry of `index` for `wanted`: an exact variant before a lower one, else the order of the
// index. Entries that are no images (attestations) are passed over. not_found lists what there is.
Result<Descriptor> choose_platform(const Index& index, const Platform& wanted);

// Chain ids of layers 1..n: the name of layer i applied on top of all layers below it.
std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids);

}  // namespace berth::oci
