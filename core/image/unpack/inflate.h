// SPDX-License-Identifier: Apache-2.0
// Decompresses a layer blob to its tar stream. The first bytes of the blob decide the format (media
// types may be wrong): gzip with any number of members (ISA-L, checksums verified), zstd with any
// number of frames, or a plain tar. Memory: one input buffer and the decoder's window.
//
// Errors: data_loss (damaged, cut short; the text names the blob), resource_exhausted (larger than
// the limits), out_of_range (a zstd frame needs a larger window than `window_max`).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/unique_fd.h"
#include "core/image/content/byte_source.h"
#include "core/oci/digest.h"

namespace berth::image {

struct InflateLimits {
  std::uint64_t size_max = 64ull << 30;
  // Inflated bytes for each compressed byte, checked once more than `ratio_grace` bytes came out.
  std::uint64_t ratio_max = 200;
  std::uint64_t ratio_grace = 256ull << 20;
  // Of zstd, in bytes. The zstd tool accepts 128 MiB at most and uses 8 MiB at usual levels.
  std::size_t window_max = 8u << 20;
};

// Bytes of an open file, in order, from its start.
class FileSource final : public ByteSource {
 public:
  FileSource(UniqueFd file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}
  Result<std::size_t> read(char* out, std::size_t size) override;

 private:
  UniqueFd file_;
  std::string name_;
  std::uint64_t offset_ = 0;
};

// `compressed` is borrowed. `name` is for error texts.
Result<std::unique_ptr<ByteSource>> make_inflater(ByteSource& compressed, std::string name,
                                                  InflateLimits limits);

// Passes its bytes through and hashes them.
class DigestSource final : public ByteSource {
 public:
  DigestSource(ByteSource& source, oci::DigestAlgorithm algorithm)
      : source_(source), digester_(algorithm) {}
  Result<std::size_t> read(char* out, std::size_t size) override;
  std::uint64_t size() const noexcept { return size_; }
  oci::Digest finish() { return digester_.finish(); }

 private:
  ByteSource& source_;
  oci::Digester digester_;
  std::uint64_t size_ = 0;
};

}  // namespace berth::image
