// SPDX-License-Identifier: Apache-2.0
// Claim: archives of images that other programs write are loaded. Each row of field/archives.tsv is
// one claim. The steps of a recipe are those of raw_tar.h and field_texts.h, and
//
//   blob NAME   the text NAME as a member of the layout's blobs
//
// Expectations about the loaded archive, with TAGS joined by commas:
//
//   image NAME TAGS ; images N ; passed NAME REASON ; error
#include <sys/mman.h>
#include <unistd.h>

#include "core/image/archive/load.h"
#include "tests/images/field_texts.h"
#include "tests/images/raw_tar.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {
namespace {

using field::Row;
using field::Step;

class FieldArchive : public testing::TestWithParam<Row> {
 protected:
  void expect(const Step& step, const LoadedArchive& loaded) {
    if (step.verb == "images") {
      EXPECT_EQ(loaded.images.size(), std::stoul(step.word()));
    } else if (step.verb == "image") {
      expect_image(step.word(), step.word(1), loaded);
    } else if (step.verb == "passed") {
      expect_passed(step, loaded);
    } else if (step.verb == "manifest-of") {
      ASSERT_FALSE(loaded.images.empty());
      Result<std::string> manifest = content_.read(loaded.images[0].manifest_digest, 1 << 20);
      ASSERT_TRUE(manifest.ok());
      for (const std::string& digest : step.words) {
        EXPECT_NE(manifest->find(digest), std::string::npos) << *manifest;
      }
    } else {
      ADD_FAILURE() << "no expectation: " << step.verb;
    }
  }
  static void expect_image(const std::string& digest, const std::string& tags,
                           const LoadedArchive& loaded) {
    for (const ArchivedImage& image : loaded.images) {
      if (image.manifest_digest.text() != digest) continue;
      std::string joined;
      for (const oci::Reference& name : image.names) {
        joined += (joined.empty() ? "" : ",") + name.tagged();
      }
      EXPECT_EQ(joined, tags);
      return;
    }
    ADD_FAILURE() << digest << " was not loaded";
  }
  static void expect_passed(const Step& step, const LoadedArchive& loaded) {
    std::string reason;
    for (std::size_t i = 1; i < step.words.size(); ++i) {
      reason += (reason.empty() ? "" : " ") + step.words[i];
    }
    for (const PassedOver& passed : loaded.passed_over) {
      if (passed.digest != step.word()) continue;
      EXPECT_NE(passed.reason.find(reason), std::string::npos) << passed.reason;
      return;
    }
    ADD_FAILURE() << step.word() << " was not passed over";
  }

  const TemporaryDir place_;
  ContentStore content_ = *ContentStore::open(place_.path() + "/content");
};

TEST_P(FieldArchive, GivesTheImagesThatItHolds) {
  const Row& row = GetParam();
  field::Texts texts;
  field::RawTar tar;
  for (const Step& raw : row.recipe) {
    if (texts.take(raw)) continue;
    if (raw.verb == "blob") {
      const std::string& text = texts.text(raw.word());
      const std::string hex(oci::digest_of(text).hex());
      tar.take({"file", {raw.text("under") + "blobs/sha256/" + hex, "content=" + text}});
    } else {
      ASSERT_TRUE(tar.take(texts.expand(raw))) << "no step of an archive: " << raw.verb;
    }
  }
  const std::string bytes = tar.finish();
  const UniqueFd fd(::memfd_create("archive", MFD_CLOEXEC));
  ASSERT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  const oci::Platform amd64{
      .architecture = "amd64", .os = "linux", .os_version = "", .variant = ""};
  ASSERT_FALSE(row.expected.empty());
  Result<LoadedArchive> loaded = load_archive(fd.get(), content_, amd64);
  if (!loaded.ok()) return field::expect_error(row, loaded.error().message());
  ASSERT_EQ(row.expects("error"), nullptr) << row.origin << ": it was accepted";
  for (const Step& raw : row.expected) expect(texts.expand(raw), *loaded);
}

INSTANTIATE_TEST_SUITE_P(Rows, FieldArchive,
                         testing::ValuesIn(field::read_rows(BERTH_FIELD_ROWS "/archives.tsv")),
                         field::row_name);

}  // namespace
}  // namespace berth::image
