// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/save.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/check.h"

namespace berth::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kBlock = 512;

std::uint64_t padding_of(std::uint64_t size) {
  return (kBlock - size % kBlock) % kBlock;
}

// A number field of `width` bytes: octal with a NUL, and where that is too narrow base 256, which
// GNU tar and libarchive read.
void put_number(char* field, std::size_t width, std::uint64_t value) {
  if (value < (1ull << (3 * (width - 1)))) {
    std::snprintf(field, width, "%0*llo", static_cast<int>(width - 1),
                  static_cast<unsigned long long>(value));
    return;
  }
  for (std::size_t i = width; i-- > 1; value >>= 8) field[i] = static_cast<char>(value & 0xff);
  field[0] = static_cast<char>(0x80);
}

// A ustar header (pax(1)): everything we name fits its 100 bytes.
std::string tar_header(const std::string& path, std::uint64_t size, bool is_directory) {
  CHECK(path.size() < 100);
  std::string block(kBlock, '\0');
  std::memcpy(block.data(), path.data(), path.size());
  put_number(&block[100], 8, is_directory ? 0755 : 0444);
  put_number(&block[108], 8, 0);
  put_number(&block[116], 8, 0);
  put_number(&block[124], 12, size);
  put_number(&block[136], 12, 0);
  std::memset(&block[148], ' ', 8);
  block[156] = is_directory ? '5' : '0';
  std::memcpy(&block[257],
              "ustar\0"
              "00",
              8);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(&block[148], 8, "%06o", sum);
  return block;
}

std::string blob_path(const oci::Digest& digest) {
  return "blobs/" + std::string(digest.algorithm_text()) + "/" + std::string(digest.hex());
}

// Sha512 needs 77 + 64 bytes: more than a ustar name has. Nobody makes such images.
Status check_path(const oci::Digest& digest) {
  if (digest.algorithm() == oci::DigestAlgorithm::sha256) return {};
  return make_error(Errc::unimplemented, "blob " + digest.text() + ": only sha256 can be saved");
}

}  // namespace

// Collects the members: documents first, every blob once.
class ArchiveSource::Plan {
 public:
  explicit Plan(const ContentStore& content) : content_(content) {}

  Status add(const SavedImage& image) {
    const CachedImage& cached = *image.entry.image;
    TRY(const std::string manifest_json,
        content_.read(cached.manifest_digest, oci::kDocumentSizeMax));
    TRY(const oci::Manifest manifest, oci::parse_manifest(manifest_json));
    TRY_(add_blob(cached.manifest_digest));
    TRY_(add_blob(manifest.config.digest));
    for (const oci::Descriptor& layer : manifest.layers) TRY_(add_blob(layer.digest));
    add_to_index(image, manifest, manifest_json.size());
    add_to_manifest(image, manifest);
    return {};
  }

  std::vector<Member> members(ArchiveFormat format) && {
    std::vector<Member> all;
    if (format == ArchiveFormat::oci_layout) {
      all.push_back(document("oci-layout", Json{{"imageLayoutVersion", "1.0.0"}}));
      Json index;
      index["schemaVersion"] = 2;
      index["mediaType"] = oci::media_type::kImageIndex;
      index["manifests"] = std::move(index_);
      all.push_back(document("index.json", index));
    } else {
      all.push_back(document("manifest.json", manifest_));
    }
    for (const char* path : {"blobs/", "blobs/sha256/"}) {
      Member directory;
      directory.path = path;
      directory.is_directory = true;
      all.push_back(std::move(directory));
    }
    std::move(blobs_.begin(), blobs_.end(), std::back_inserter(all));
    return all;
  }

 private:
  static Member document(const char* path, const Json& json) {
    Member member;
    member.path = path;
    member.bytes = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    member.size = member.bytes.size();
    return member;
  }

  Status add_blob(const oci::Digest& digest) {
    TRY_(check_path(digest));
    if (!seen_.insert(digest.text()).second) return {};
    TRY(const std::optional<std::uint64_t> size, content_.size(digest));
    if (!size) {
      return make_error(Errc::failed_precondition,
                        "blob " + digest.text() +
                            " is not in the store: it was dropped after unpacking; pull the image "
                            "again");
    }
    Member member;
    member.path = blob_path(digest);
    member.blob = digest;
    member.size = *size;
    blobs_.push_back(std::move(member));
    return {};
  }

  // One descriptor for each name, as every reader of layouts expects it.
  void add_to_index(const SavedImage& image, const oci::Manifest& manifest, std::size_t size) {
    Json descriptor;
    descriptor["mediaType"] = manifest.media_type.empty()
                                  ? std::string(oci::media_type::kImageManifest)
                                  : manifest.media_type;
    descriptor["digest"] = image.entry.image->manifest_digest.text();
    descriptor["size"] = size;
    if (image.entry.image->is_artifact()) {
      descriptor["artifactType"] = image.entry.image->artifact_type;
    } else {
      const oci::Platform& platform = image.entry.image->config.platform;
      descriptor["platform"] = {{"architecture", platform.architecture}, {"os", platform.os}};
      if (!platform.variant.empty()) descriptor["platform"]["variant"] = platform.variant;
    }
    if (image.names.empty()) index_.push_back(descriptor);
    for (const std::string& name : image.names) {
      Json named = descriptor;
      named["annotations"] = {{"io.containerd.image.name", name},
                              {"org.opencontainers.image.ref.name", name}};
      index_.push_back(std::move(named));
    }
  }

  void add_to_manifest(const SavedImage& image, const oci::Manifest& manifest) {
    Json entry;
    entry["Config"] = blob_path(manifest.config.digest);
    entry["RepoTags"] = image.names;
    entry["Layers"] = Json::array();
    for (const oci::Descriptor& layer : manifest.layers) {
      entry["Layers"].push_back(blob_path(layer.digest));
    }
    manifest_.push_back(std::move(entry));
  }

  const ContentStore& content_;
  Json index_ = Json::array();
  Json manifest_ = Json::array();
  std::vector<Member> blobs_;
  std::set<std::string> seen_;
};

Result<ArchiveSource> ArchiveSource::open(const ContentStore& content,
                                          const std::vector<SavedImage>& images,
                                          ArchiveFormat format) {
  if (images.empty()) return make_error(Errc::invalid_argument, "no image to save");
  Plan plan(content);
  for (const SavedImage& image : images) {
    if (format == ArchiveFormat::docker_archive && image.entry.image->is_artifact()) {
      return make_error(Errc::invalid_argument, "`" + image.entry.image->id +
                                                    "` is an artifact, which a docker-archive "
                                                    "cannot hold: save it as oci-layout");
    }
    Status added = plan.add(image);
    if (!added.ok()) return std::move(added).error().with("image " + image.entry.image->id);
  }
  ArchiveSource source(content);
  source.members_ = std::move(plan).members(format);
  return source;
}

std::uint64_t ArchiveSource::size() const {
  std::uint64_t total = 2 * kBlock;
  for (const Member& member : members_) total += kBlock + member.size + padding_of(member.size);
  return total;
}

Status ArchiveSource::begin_next() {
  small_at_ = 0;
  if (next_ == members_.size()) {
    // Two empty blocks end an archive.
    small_.assign(ended_ ? 0 : 2 * kBlock, '\0');
    ended_ = true;
    return {};
  }
  const Member& member = members_[next_++];
  small_ = tar_header(member.path, member.size, member.is_directory);
  if (member.blob.empty()) {
    small_ += member.bytes;
    small_.append(padding_of(member.size), '\0');
    return {};
  }
  TRY(blob_, content_->open_blob(member.blob));
  blob_left_ = member.size;
  padding_ = padding_of(member.size);
  return {};
}

Result<std::size_t> ArchiveSource::read_member(std::span<char> into) {
  if (small_at_ < small_.size()) {
    const std::size_t size = std::min(into.size(), small_.size() - small_at_);
    std::memcpy(into.data(), small_.data() + small_at_, size);
    small_at_ += size;
    return size;
  }
  if (blob_left_ > 0) {
    const std::size_t wanted = std::min<std::uint64_t>(into.size(), blob_left_);
    const ssize_t got = ::read(blob_.get(), into.data(), wanted);
    const std::string& path = members_[next_ - 1].path;
    if (got < 0) return sys_error(errno, "read", path);
    if (got == 0) return make_error(Errc::data_loss, path + " became shorter while it was read");
    blob_left_ -= static_cast<std::uint64_t>(got);
    if (blob_left_ == 0) {
      small_.assign(padding_, '\0');
      small_at_ = 0;
    }
    return static_cast<std::size_t>(got);
  }
  return std::size_t{0};
}

Result<std::size_t> ArchiveSource::read(std::span<char> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    TRY(const std::size_t got, read_member(into.subspan(have)));
    have += got;
    if (got > 0) continue;
    TRY_(begin_next());
    if (small_.empty()) break;
  }
  return have;
}

}  // namespace berth::image
