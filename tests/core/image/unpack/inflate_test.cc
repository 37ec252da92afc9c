// SPDX-License-Identifier: Apache-2.0
// Promise: gives the tar stream of a blob, whatever its compression, and never more than the limits
// allow.
#include "core/image/unpack/inflate.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/core/image/unpack/compressed.h"

namespace berth::image {
namespace {

// Gives its bytes in pieces of `step`.
class StringSource final : public ByteSource {
 public:
  StringSource(std::string bytes, std::size_t step) : bytes_(std::move(bytes)), step_(step) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    const std::size_t count = std::min({size, step_, bytes_.size() - at_});
    bytes_.copy(out, count, at_);
    at_ += count;
    return count;
  }

 private:
  std::string bytes_;
  std::size_t step_;
  std::size_t at_ = 0;
};

// Half of it is random, so that it cannot be compressed to nothing.
std::string sample(std::size_t size) {
  std::minstd_rand random(7);
  std::string bytes(size, 'a');
  for (std::size_t i = 0; i < size; i += 2) bytes[i] = static_cast<char>(random());
  return bytes;
}

Result<std::string> inflate_all(const std::string& blob, std::size_t step,
                                InflateLimits limits = {}, std::size_t piece = 10'000) {
  StringSource source(blob, step);
  TRY(const std::unique_ptr<ByteSource> inflated, make_inflater(source, "blob", limits));
  std::string all;
  std::string buffer(piece, '\0');
  while (true) {
    TRY(const std::size_t got, inflated->read(buffer.data(), buffer.size()));
    if (got == 0) return all;
    all.append(buffer, 0, got);
  }
}

TEST(Inflate, GivesBackEveryFormat) {
  const std::string bytes = sample(700'000);
  const std::string half = bytes.substr(0, 350'000);
  const std::string rest = bytes.substr(350'000);
  const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  const struct {
    const char* name;
    std::string blob;
  } cases[] = {
      {"gzip", gzip(bytes)},
      {"gzip members", gzip(half) + gzip("") + gzip(rest)},
      {"gzip padding", gzip(bytes) + std::string(300'000, '\0')},
      {"zstd", zstd(bytes)},
      {"zstd frames", skippable + zstd(half) + zstd(rest)},
      {"plain", bytes},
  };
  for (const auto& c : cases) {
    for (const std::size_t step : {std::size_t{1'000'000}, std::size_t{4097}, std::size_t{13}}) {
      Result<std::string> back = inflate_all(c.blob, step);
      ASSERT_TRUE(back.ok()) << c.name << ": " << back.error().message();
      EXPECT_TRUE(*back == bytes) << c.name << " in steps of " << step << ": " << back->size();
    }
  }
  EXPECT_EQ(*inflate_all("", 10), "");
  EXPECT_TRUE(*inflate_all(gzip(bytes), 1, {}, 1'000'000) == bytes);
}

TEST(Inflate, NoticesDamageAndCuts) {
  const std::string bytes = sample(100'000);
  std::string flipped = gzip(bytes);
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 1);  // CRC
  std::string middle = zstd(bytes);
  const struct {
    const char* name;
    std::string blob;
  } cases[] = {
      {"gzip cut", gzip(bytes).substr(0, 50'000)},
      {"gzip header only", gzip(bytes).substr(0, 10)},
      {"gzip trailer cut", gzip(bytes).substr(0, gzip(bytes).size() - 3)},
      {"gzip checksum", flipped},
      {"gzip garbage behind", gzip(bytes) + "garbage"},
      {"gzip second member cut", gzip(bytes) + gzip(bytes).substr(0, 20)},
      {"zstd cut", middle.substr(0, middle.size() / 2)},
      {"zstd garbage behind", middle + "garbage"},
  };
  for (const auto& c : cases) {
    Result<std::string> back = inflate_all(c.blob, 1'000'000);
    ASSERT_FALSE(back.ok()) << c.name;
    EXPECT_EQ(back.error().code, Errc::data_loss) << c.name;
    EXPECT_NE(back.error().message().find("layer blob"), std::string::npos);
  }
}

TEST(Inflate, RefusesBombs) {
  const std::string zeros(8 << 20, '\0');
  InflateLimits ratio;
  ratio.ratio_grace = 1 << 20;
  ratio.ratio_max = 100;
  InflateLimits size;
  size.size_max = 1 << 20;
  for (const std::string& blob : {gzip(zeros), zstd(zeros)}) {
    for (const InflateLimits& limits : {ratio, size}) {
      Result<std::string> back = inflate_all(blob, 1'000'000, limits);
      ASSERT_FALSE(back.ok());
      EXPECT_EQ(back.error().code, Errc::resource_exhausted);
    }
    EXPECT_TRUE(inflate_all(blob, 1'000'000).ok());
  }
}

TEST(DigestSource, HashesTheBytesItPassesOn) {
  StringSource source("abcdef", 4);
  DigestSource digest(source, oci::DigestAlgorithm::sha256);
  char buffer[16];
  while (*digest.read(buffer, sizeof buffer) > 0) {
  }
  EXPECT_EQ(digest.size(), 6u);
  EXPECT_EQ(digest.finish(), oci::digest_of("abcdef"));
}

}  // namespace
}  // namespace berth::image
