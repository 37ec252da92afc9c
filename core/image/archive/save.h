// SPDX-License-Identifier: Apache-2.0
// Images as one tar archive, read piece by piece: only the documents are held in memory. Formats:
//
//   oci_layout      image-spec 1.1, image-layout.md: oci-layout, index.json,
//                   blobs/<algorithm>/<hex>
//   docker_archive  the format of `docker save`: manifest.json, and the same blobs
//
// The blobs are written as they are stored, so their digests do not change. The same images give
// the same bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/content/content.h"
#include "core/image/store/image_store.h"

namespace berth::image {

enum class ArchiveFormat { oci_layout, docker_archive };

struct SavedImage {
  ImageEntry entry;
  std::vector<std::string> names;  // tags to write into the archive; may be empty
};

// Everything blocks. The blobs must stay in the store until the last read.
class ArchiveSource {
 public:
  // failed_precondition: a blob is not in the store (layers may be dropped once unpacked).
  // invalid_argument: a docker-archive cannot hold an artifact, or there is no image.
  static Result<ArchiveSource> open(const ContentStore& content,
                                    const std::vector<SavedImage>& images, ArchiveFormat format);

  // Writes to the begin of `into` and returns the number of bytes; 0 at the end of the archive.
  Result<std::size_t> read(std::span<char> into);
  // The number of bytes of the whole archive.
  std::uint64_t size() const;

 private:
  // A document in memory, or a blob.
  struct Member {
    std::string path;
    std::string bytes;
    oci::Digest blob;
    std::uint64_t size = 0;
    bool is_directory = false;
  };
  class Plan;

  explicit ArchiveSource(const ContentStore& content) : content_(&content) {}
  Result<std::size_t> read_member(std::span<char> into);
  Status begin_next();

  const ContentStore* content_;
  std::vector<Member> members_;
  std::size_t next_ = 0;  // the member after the current one
  std::string small_;     // header, document or padding to return first
  std::size_t small_at_ = 0;
  UniqueFd blob_;
  std::uint64_t blob_left_ = 0;
  std::uint64_t padding_ = 0;  // after blob_
  bool ended_ = false;
};

}  // namespace berth::image
