// SPDX-License-Identifier: Apache-2.0
// Claim: configurations, manifests and indexes of other programs are read with the meaning that
// those programs give them. Each row of field/documents.tsv is one claim. Steps and their
// expectations:
//
//   config JSON              entrypoint|cmd|env WORDS ; user U ; layers N ; error TEXT
//   manifest JSON            artifact yes|no ; layers N
//   index JSON               chosen DIGEST
//   kind JSON CONTENT-TYPE   is index|manifest
//
// The step `host OS ARCHITECTURE VARIANT` sets a platform other than linux/amd64.
#include "tests/images/field_texts.h"

namespace berth::oci {
namespace {

using field::Row;
using field::Step;

class FieldDocument : public testing::TestWithParam<Row> {
 protected:
  using Values = std::map<std::string, std::vector<std::string>>;

  static Result<Values> read_config(const std::string& json) {
    TRY(const Image image, parse_image(json));
    return Values{{"entrypoint", image.config.entrypoint},
                  {"cmd", image.config.cmd},
                  {"env", image.config.env},
                  {"user", {image.config.user}},
                  {"workdir", {image.config.working_dir}},
                  {"volumes", image.config.volumes},
                  {"layers", {std::to_string(image.diff_ids.size())}}};
  }
  static Result<Values> read_manifest(const std::string& json) {
    TRY(const Manifest manifest, parse_manifest(json));
    return Values{{"artifact", {is_artifact(manifest) ? "yes" : "no"}},
                  {"layers", {std::to_string(manifest.layers.size())}}};
  }
  static Result<Values> read_index(const std::string& json, const Platform& host) {
    TRY(const Index index, parse_index(json));
    TRY(const Descriptor chosen, choose_platform(index, host));
    return Values{{"chosen", {chosen.digest.text()}}};
  }
  static Result<Values> read_kind(const std::string& json, const std::string& content_type) {
    TRY(const DocumentKind kind, document_kind(json, content_type));
    return Values{{"is", {kind == DocumentKind::index ? "index" : "manifest"}}};
  }
};

TEST_P(FieldDocument, IsReadAsExpected) {
  const Row& row = GetParam();
  field::Texts texts;
  Platform host{.architecture = "amd64", .os = "linux", .os_version = "", .variant = ""};
  Result<Values> read = make_error(Errc::internal, "the row has no document");
  for (const Step& raw : row.recipe) {
    if (texts.take(raw)) continue;
    const Step step = texts.expand(raw);
    if (step.verb == "host") {
      host.os = step.word(0);
      host.architecture = step.word(1);
      host.variant = step.word(2);
    } else if (step.verb == "config") {
      read = read_config(step.word());
    } else if (step.verb == "manifest") {
      read = read_manifest(step.word());
    } else if (step.verb == "index") {
      read = read_index(step.word(), host);
    } else if (step.verb == "kind") {
      read = read_kind(step.word(), step.word(1));
    } else {
      ADD_FAILURE() << "no step of a document: " << step.verb;
    }
  }
  ASSERT_FALSE(row.expected.empty());
  if (!read.ok()) return field::expect_error(row, read.error().message());
  ASSERT_EQ(row.expects("error"), nullptr) << row.origin << ": it was accepted";
  for (const Step& raw : row.expected) {
    const Step step = texts.expand(raw);
    ASSERT_TRUE(read->contains(step.verb)) << "no expectation: " << step.verb;
    EXPECT_EQ(read->at(step.verb), step.words) << row.origin;
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, FieldDocument,
                         testing::ValuesIn(field::read_rows(BERTH_FIELD_ROWS "/documents.tsv")),
                         field::row_name);

}  // namespace
}  // namespace berth::oci
