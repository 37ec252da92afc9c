// SPDX-License-Identifier: Apache-2.0
#include "core/oci/digest.h"

#include <openssl/evp.h>

#include "core/base/check.h"
#include "core/base/text.h"

namespace berth::oci {
namespace {

Error malformed(std::string_view text, const std::string& what) {
  return make_error(Errc::invalid_argument, "digest " + quoted(text) + ": " + what);
}

std::size_t hex_size(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? 64 : 128;
}

}  // namespace

const char* digest_algorithm_name(DigestAlgorithm algorithm) noexcept {
  return algorithm == DigestAlgorithm::sha256 ? "sha256" : "sha512";
}

Result<Digest> Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return malformed(text, "no `:` after the algorithm");
  const std::string_view name = text.substr(0, colon);
  DigestAlgorithm algorithm = DigestAlgorithm::sha256;
  if (name == "sha512") {
    algorithm = DigestAlgorithm::sha512;
  } else if (name != "sha256") {
    return malformed(text, "the algorithm is not sha256 or sha512");
  }
  const std::string_view hex = text.substr(colon + 1);
  if (hex.size() != hex_size(algorithm)) {
    return malformed(text, std::to_string(hex.size()) + " characters after `:` instead of " +
                               std::to_string(hex_size(algorithm)));
  }
  if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return malformed(text, "a character is not a lower-case hex digit");
  }
  return Digest(algorithm, std::string(text));
}

std::string_view Digest::hex() const noexcept {
  return empty() ? std::string_view() : std::string_view(text_).substr(text_.find(':') + 1);
}

struct Digester::Context {
  Context() : evp(EVP_MD_CTX_new()) { CHECK(evp != nullptr); }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  EVP_MD_CTX* evp;
};

Digester::Digester(DigestAlgorithm algorithm)
    : algorithm_(algorithm), context_(std::make_unique<Context>()) {
  start();
}
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;
Digester::~Digester() = default;

// OpenSSL's hash calls fail only without memory or without the algorithm, which every build has.
void Digester::start() {
  const EVP_MD* kind = algorithm_ == DigestAlgorithm::sha256 ? EVP_sha256() : EVP_sha512();
  CHECK(EVP_DigestInit_ex(context_->evp, kind, nullptr) == 1);
}

void Digester::update(const void* bytes, std::size_t size) {
  CHECK(EVP_DigestUpdate(context_->evp, bytes, size) == 1);
}

Digest Digester::finish() {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context_->evp, hash, &size) == 1);
  start();
  std::string text = digest_algorithm_name(algorithm_);
  text += ':';
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[hash[i] >> 4];
    text += "0123456789abcdef"[hash[i] & 15];
  }
  return Digest(algorithm_, std::move(text));
}

Digest digest_of(std::string_view bytes, DigestAlgorithm algorithm) {
  Digester digester(algorithm);
  digester.update(bytes.data(), bytes.size());
  return digester.finish();
}

}  // namespace berth::oci
