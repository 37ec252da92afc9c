// SPDX-License-Identifier: Apache-2.0
// A layer blob as the tar stream in it. What the blob is, is read from its first bytes (media types
// lie): gzip with any number of members (ISA-L, checksums verified), zstd with any number of
// frames, or a plain tar. Memory: one input buffer and the decoder's window (zstd: at most 128 MiB,
// as the format's own tools allow; usually 8).
//
// Errors: data_loss names the blob (damaged, cut short), resource_exhausted when it inflates beyond
// the limits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/unique_fd.h"
#include "core/image/byte_source.h"
#include "core/oci/digest.h"

namespace berth::image {

struct InflateLimits {
  std::uint64_t size_max = 64ull << 30;
  // Inflated bytes for each compressed byte, looked at once more than `ratio_grace` bytes came out.
  std::uint64_t ratio_max = 200;
  std::uint64_t ratio_grace = 256ull << 20;
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

// Hands on what it reads and hashes it.
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
