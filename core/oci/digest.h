// SPDX-License-Identifier: Apache-2.0
// A digest names bytes by their hash: "sha256:9f86d0..." (OCI image-spec 1.1, descriptor.md).
// sha256 and sha512 are understood; everything else is refused by parse, so a Digest that exists
// can be checked. Its text contains no '/' and is safe as the name of a file or a snapshot.
#pragma once

#include <compare>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::oci {

enum class DigestAlgorithm { sha256, sha512 };

const char* digest_algorithm_name(DigestAlgorithm algorithm) noexcept;

class Digest {
 public:
  // Names nothing; empty() is true. Only a place to put a parsed one.
  Digest() = default;
  // invalid_argument tells what is wrong with `text`: no colon, algorithm, length, a digit.
  static Result<Digest> parse(std::string_view text);

  bool empty() const noexcept { return text_.empty(); }
  const std::string& text() const noexcept { return text_; }  // "sha256:9f86d0..."
  DigestAlgorithm algorithm() const noexcept { return algorithm_; }
  std::string_view algorithm_text() const noexcept { return digest_algorithm_name(algorithm_); }
  std::string_view hex() const noexcept;

  friend bool operator==(const Digest& a, const Digest& b) noexcept { return a.text_ == b.text_; }
  friend auto operator<=>(const Digest& a, const Digest& b) noexcept { return a.text_ <=> b.text_; }

 private:
  friend class Digester;
  Digest(DigestAlgorithm algorithm, std::string text)
      : algorithm_(algorithm), text_(std::move(text)) {}

  DigestAlgorithm algorithm_ = DigestAlgorithm::sha256;
  std::string text_;
};

// Computes a digest piece by piece. Used by one thread at a time.
class Digester {
 public:
  explicit Digester(DigestAlgorithm algorithm = DigestAlgorithm::sha256);
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  ~Digester();

  void update(const void* bytes, std::size_t size);
  // The digest of everything since construction or the last finish(); starts again from nothing.
  Digest finish();

 private:
  struct Context;
  void start();

  DigestAlgorithm algorithm_;
  std::unique_ptr<Context> context_;
};

Digest digest_of(std::string_view bytes, DigestAlgorithm algorithm = DigestAlgorithm::sha256);

}  // namespace berth::oci
