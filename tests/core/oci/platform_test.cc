// SPDX-License-Identifier: Apache-2.0
// Promise: the entry of an index whose platform suits this machine best is chosen.
#include <gtest/gtest.h>

#include "core/oci/image.h"

namespace berth::oci {
namespace {

Platform platform(const std::string& architecture, const std::string& variant = "",
                  const std::string& os = "linux") {
  Platform p;
  p.architecture = architecture;
  p.os = os;
  p.variant = variant;
  return p;
}

TEST(Platform, MatchesItsOwnAndLowerVariants) {
  const struct {
    Platform wanted, offered;
    bool fits;
  } cases[] = {
      {platform("amd64"), platform("amd64"), true},
      {platform("amd64"), platform("amd64", "v1"), true},
      {platform("amd64"), platform("amd64", "v2"), false},
      {platform("amd64", "v3"), platform("amd64", "v2"), true},
      {platform("amd64", "v3"), platform("amd64"), true},
      {platform("amd64"), platform("arm64"), false},
      {platform("amd64"), platform("amd64", "", "windows"), false},
      {platform("arm64"), platform("arm64", "v8"), true},
      {platform("arm64", "v8"), platform("arm64"), true},
      {platform("arm", "v7"), platform("arm", "v6"), true},
      {platform("arm", "v6"), platform("arm", "v7"), false},
      {platform("amd64"), platform("amd64", "strange"), false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(platform_matches(c.wanted, c.offered), c.fits)
        << c.wanted.text() << " " << c.offered.text();
  }
}

Descriptor entry(char name, std::optional<Platform> of) {
  Descriptor descriptor;
  descriptor.digest = digest_of(std::string(1, name));
  descriptor.platform = std::move(of);
  return descriptor;
}

TEST(ChoosePlatform, TakesTheBestVariantAndSkipsAttestations) {
  Index index;
  Descriptor attestation = entry('x', platform("amd64"));
  attestation.annotations["vnd.docker.reference.type"] = "attestation-manifest";
  index.manifests = {attestation, entry('a', platform("arm64")), entry('b', platform("amd64")),
                     entry('c', platform("amd64", "v2"))};
  Result<Descriptor> plain = choose_platform(index, platform("amd64"));
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->digest, digest_of("b"));
  Result<Descriptor> newer = choose_platform(index, platform("amd64", "v3"));
  ASSERT_TRUE(newer.ok());
  EXPECT_EQ(newer->digest, digest_of("c"));
}

TEST(ChoosePlatform, ErrorListsThePlatformsWhenNoneFits) {
  Index index;
  index.manifests = {entry('a', platform("arm64", "v8")), entry('b', platform("s390x"))};
  Result<Descriptor> chosen = choose_platform(index, platform("amd64"));
  ASSERT_FALSE(chosen.ok());
  EXPECT_EQ(chosen.error().code, Errc::not_found);
  EXPECT_NE(chosen.error().message().find("linux/arm64/v8, linux/s390x"), std::string::npos);
}

TEST(ChoosePlatform, ErrorIsOneShortLineWhateverTheIndexNames) {
  Index index;
  index.manifests = {entry('a', platform("arm\x7f\x1b[2J\n64")),
                     entry('b', platform(std::string(1'000'000, 'x')))};
  const Result<Descriptor> chosen = choose_platform(index, platform("amd64"));
  ASSERT_FALSE(chosen.ok());
  EXPECT_EQ(chosen.error().message(),
            "no image for linux/amd64 in the index; it has linux/arm??[2J?64, linux/" +
                std::string(58, 'x') + "...");
}

TEST(ChoosePlatform, TakesAnEntryWithoutPlatformOnlyAsTheLastResort) {
  Index index;
  index.manifests = {entry('a', std::nullopt), entry('b', platform("amd64"))};
  EXPECT_EQ(choose_platform(index, platform("amd64"))->digest, digest_of("b"));
  EXPECT_EQ(choose_platform(index, platform("arm64"))->digest, digest_of("a"));
}

}  // namespace
}  // namespace berth::oci
