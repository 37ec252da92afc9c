// SPDX-License-Identifier: Apache-2.0
// Promise: an artifact's blobs become files with the titles of the manifest, and no file is made
// outside the directory.
#include "core/image/archive/artifact_files.h"
#include "tests/support/temporary_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

namespace berth::image {
namespace {

namespace fs = std::filesystem;

class ArtifactFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(dir_ + "/volume");
    Result<ContentStore> content = ContentStore::open(dir_ + "/content");
    ASSERT_TRUE(content.ok()) << content.error().message();
    content_.emplace(*std::move(content));
  }

  void add(const std::string& title, const std::string& bytes) {
    const oci::Digest digest = oci::digest_of(bytes);
    ASSERT_TRUE(content_->put(digest, bytes).ok());
    artifact_.layers.push_back({.digest = digest, .size = bytes.size(), .title = title});
  }
  Status link() { return link_artifact_files(*content_, artifact_, dir_ + "/volume"); }
  std::string read(const std::string& path) {
    std::ifstream file(dir_ + "/volume/" + path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::optional<ContentStore> content_;
  CachedImage artifact_;
};

TEST_F(ArtifactFiles, HaveTheirTitlesAndAreReadableAndOutliveTheBlob) {
  add("model.bin", "weights");
  add("deep/er/words.txt", "words");
  add("deep/other", "other");
  add("", "untitled");
  ASSERT_TRUE(link().ok()) << link().error().message();
  const std::string untitled = "sha256-" + std::string(oci::digest_of("untitled").hex());
  EXPECT_EQ(read("model.bin"), "weights");
  EXPECT_EQ(read("deep/er/words.txt"), "words");
  EXPECT_EQ(read("deep/other"), "other");
  EXPECT_EQ(read(untitled), "untitled");
  struct stat status {};
  ASSERT_EQ(::stat((dir_ + "/volume/model.bin").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0444u);
  ASSERT_EQ(::stat((dir_ + "/volume/deep/er").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0555, 0555u);
  ASSERT_TRUE(content_->remove(oci::digest_of("weights")).ok());
  EXPECT_EQ(read("model.bin"), "weights");
}

TEST_F(ArtifactFiles, HostileTitlesAreRefusedWithTheBlob) {
  std::ofstream(dir_ + "/victim") << "untouched";
  const std::string long_part(256, 'a');
  const std::string titles[] = {"../victim",
                                "/etc/passwd",
                                "a/../../victim",
                                "a//b",
                                ".",
                                "..",
                                "a/.",
                                "a/",
                                "new\nline",
                                long_part,
                                std::string(3000, 'a'),
                                "./a",
                                std::string("nul\0", 4)};
  for (const std::string& title : titles) {
    artifact_.layers.clear();
    add(title, "blob");
    const Status linked = link();
    ASSERT_FALSE(linked.ok()) << title;
    EXPECT_EQ(linked.error().code, Errc::invalid_argument) << title;
    EXPECT_NE(linked.error().message().find(oci::digest_of("blob").text()), std::string::npos);
  }
  EXPECT_TRUE(fs::is_empty(dir_ + "/volume"));
  std::ifstream victim(dir_ + "/victim");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(victim), {}), "untouched");
}

TEST_F(ArtifactFiles, TwoBlobsOfOneNameAreRefused) {
  add("name", "one");
  add("name", "two");
  EXPECT_EQ(link().error().code, Errc::invalid_argument);
}

TEST_F(ArtifactFiles, AFileWhereADirectoryIsNeededIsRefused) {
  add("name", "one");
  add("name/below", "two");
  EXPECT_EQ(link().error().code, Errc::invalid_argument);
}

TEST_F(ArtifactFiles, ABlobThatIsGoneIsNotFound) {
  add("name", "one");
  ASSERT_TRUE(content_->remove(oci::digest_of("one")).ok());
  EXPECT_EQ(link().error().code, Errc::not_found);
}

}  // namespace
}  // namespace berth::image
