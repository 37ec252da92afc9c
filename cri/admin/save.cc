// SPDX-License-Identifier: Apache-2.0
// Streams one archive of images from the content store. A slow client slows the reading.
#include "core/image/archive/save.h"
#include "core/ring/offload.h"
#include "cri/admin/calls.h"
#include "cri/field.h"
#include "cri/image/find.h"

namespace berth::cri::admin {

namespace wire = berth::v1;

namespace {

constexpr std::size_t kPieceBytes = 256_KiB;

// A manifest that was requested by several names is added once, with all these names.
void add_image(image::SavedImage saved, std::vector<image::SavedImage>& images) {
  for (image::SavedImage& other : images) {
    if (other.entry.image->manifest_digest != saved.entry.image->manifest_digest) continue;
    for (std::string& more : saved.names) {
      const auto found = std::find(other.names.begin(), other.names.end(), more);
      if (found == other.names.end()) other.names.push_back(std::move(more));
    }
    return;
  }
  images.push_back(std::move(saved));
}

// A request by tag adds that tag. A request by digest adds every tag of that manifest. A request by
// id adds every tag of the image, each with its own manifest.
void add_named(const image::ImageEntry& entry, std::vector<image::SavedImage>& images) {
  const bool by_tag = entry.found_by.has_value() && entry.found_by->digest.empty();
  if (by_tag) return add_image({entry, {entry.found_by->tagged()}}, images);
  if (entry.found_by.has_value() || entry.repo_tags.empty()) add_image({entry, {}}, images);
  for (const std::string& tag : entry.repo_tags) {
    image::SavedImage saved{entry, {tag}};
    saved.entry.image = entry.manifests.at(tag);
    const bool same = saved.entry.image->manifest_digest == entry.image->manifest_digest;
    if (same || !entry.found_by.has_value()) add_image(std::move(saved), images);
  }
}

Task<std::vector<image::ImageEntry>> entries_of(Node& node, const wire::SaveRequest& request) {
  std::vector<image::ImageEntry> entries;
  for (const std::string& name : request.images()) {
    co_await check_name("images", name);
    image::ImageEntry entry = co_await need_image(node, name);
    entries.push_back(std::move(entry));
  }
  co_return entries;
}

}  // namespace

Task<void> save(Node& node, rpc::Call& call) {
  wire::SaveRequest request;
  const bool asked = co_await call.read(request);
  if (!asked) co_await fail(Errc::invalid_argument, "the call has no request message");
  const image::ArchiveFormat format = request.format() == wire::SaveRequest::DOCKER_ARCHIVE
                                          ? image::ArchiveFormat::docker_archive
                                          : image::ArchiveFormat::oci_layout;
  std::vector<image::ImageEntry> entries = co_await entries_of(node, request);
  // A concurrent removal deletes the names at once, and the blobs after the lease ends.
  const image::Puller::Lease lease = co_await node.puller.lease(entries);
  std::vector<image::SavedImage> images;
  for (const image::ImageEntry& entry : entries) add_named(entry, images);
  const image::ContentStore& content = node.content;
  auto open = [&content, &images, format]() {
    return image::ArchiveSource::open(content, images, format);
  };
  image::ArchiveSource source = co_await offload(node.ring, std::move(open));
  std::string piece;
  wire::Chunk chunk;
  for (;;) {
    piece.resize(kPieceBytes);
    auto read = [&source, &piece]() { return source.read(piece); };
    const std::size_t size = co_await offload(node.ring, std::move(read));
    if (size == 0) co_return;
    piece.resize(size);
    chunk.set_data(std::move(piece));
    co_await call.write(chunk);
    piece = std::move(*chunk.mutable_data());
  }
}

}  // namespace berth::cri::admin
