// SPDX-License-Identifier: Apache-2.0
// Promise: a Digest always has a supported algorithm, and hashing gives the known values.
#include "core/oci/digest.h"

#include <gtest/gtest.h>

namespace berth::oci {
namespace {

const char* const kEmptySha256 =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Digest, OfKnownBytesIsTheKnownValue) {
  EXPECT_EQ(digest_of("").text(), kEmptySha256);
  EXPECT_EQ(digest_of("abc").text(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("abc", DigestAlgorithm::sha512).text().substr(0, 20), "sha512:ddaf35a193617");
}

TEST(Digest, InPiecesIsTheSameAsAtOnceAndFinishStartsAgain) {
  Digester digester;
  digester.update("a", 1);
  digester.update("bc", 2);
  EXPECT_EQ(digester.finish(), digest_of("abc"));
  EXPECT_EQ(digester.finish().text(), kEmptySha256);
}

TEST(Digest, ParsesItsOwnText) {
  const Digest digest = digest_of("x", DigestAlgorithm::sha512);
  Result<Digest> parsed = Digest::parse(digest.text());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, digest);
  EXPECT_EQ(parsed->algorithm(), DigestAlgorithm::sha512);
  EXPECT_EQ(parsed->hex().size(), 128u);
}

TEST(Digest, RefusesEverythingThatCannotBeChecked) {
  const std::string hex = std::string(kEmptySha256).substr(7);
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"", "no `:`"},
      {"sha256", "no `:`"},
      {hex, "no `:`"},
      {"md5:" + hex, "algorithm"},
      {"SHA256:" + hex, "algorithm"},
      {"sha256:", "0 characters"},
      {"sha256:" + hex.substr(1), "63 characters"},
      {"sha256:" + hex + "0", "65 characters"},
      {"sha512:" + hex, "instead of 128"},
      {"sha256:" + std::string(64, 'A'), "hex digit"},
      {"sha256:../../../../../../../../../../../../../../../../../../etc/shadow0000", "character"},
      {"sha256:" + std::string(63, '0') + std::string(1, '\0'), "hex digit"},
      {std::string(1 << 20, 'x'), "no `:`"},
  };
  for (const auto& c : cases) {
    Result<Digest> parsed = Digest::parse(c.text);
    ASSERT_FALSE(parsed.ok()) << c.text.substr(0, 100);
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
    EXPECT_NE(parsed.error().message().find(c.says), std::string::npos) << parsed.error().message();
    EXPECT_LT(parsed.error().message().size(), 300u);
  }
}

}  // namespace
}  // namespace berth::oci
