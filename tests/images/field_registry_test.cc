// SPDX-License-Identifier: Apache-2.0
// Claim: pulls work with registries that answer in unusual ways, and errors contain no secrets.
// Each row of field/registries.tsv is one claim. Steps of a recipe:
//
//   answer METHOD PATH [status= type= digest= location= body=]
//       `body=NAME` is a text; `<host>` is the registry and `<other>` another server
//   head|get TAG ; blob NAME   the request, exactly one
//
// Expectations (`asked`: the number of all requests):
//
//   digest D ; asked N ; bytes NAME ; error TEXT ; hides TEXT
#include "tests/core/image/registry/session_fixture.h"
#include "tests/images/field_texts.h"

namespace berth::image {
namespace {

using field::Row;
using field::Step;

class FieldRegistry : public SessionTest, public testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    texts_.set("host", registry_.host());
    texts_.set("other", other_.host());
  }
  void answer(const Step& step) {
    ServerResponse response{
        .status = static_cast<int>(step.number("status", 200)), .headers = {}, .body = ""};
    if (step.option("type")) response.headers.push_back("Content-Type: " + step.text("type"));
    if (step.option("digest")) {
      response.headers.push_back("Docker-Content-Digest: " + step.text("digest"));
    }
    if (step.option("location")) response.headers.push_back("Location: " + step.text("location"));
    if (step.option("body")) response.body = texts_.text(step.text("body"));
    if (step.option("say")) response.body = step.text("say");
    answers_[step.word() + " " + step.word(1)] = std::move(response);
  }
  ServerResponse look_up(const ServerRequest& request) {
    const auto found = answers_.find(request.method + " " + request.path);
    if (found == answers_.end()) return {.status = 404, .headers = {}, .body = ""};
    return found->second;
  }
  // Returns the digest of a document, or the bytes of a blob.
  Result<std::string> ask(const Step& step) {
    if (step.verb == "blob") {
      const std::string& text = texts_.text(step.word());
      const std::string failed = fetch(session(), oci::digest_of(text).text(), text.size());
      if (!failed.empty()) return make_error(Errc::unknown, failed);
      return sink_->bytes;
    }
    Result<RemoteDocument> document =
        step.verb == "head" ? head(session(), step.word()) : manifest(session(), step.word());
    if (!document.ok()) return document.error();
    return document->digest.text();
  }

  field::Texts texts_;
  std::map<std::string, ServerResponse> answers_;
  FakeServer other_{[this](const ServerRequest& request) { return look_up(request); }, "127.0.0.2"};
};

TEST_P(FieldRegistry, Serves) {
  const Row& row = GetParam();
  registry_.set_hook([this](const ServerRequest& request) { return look_up(request); });
  Result<std::string> got = make_error(Errc::internal, "the row has no request");
  for (const Step& raw : row.recipe) {
    if (texts_.take(raw)) continue;
    if (raw.verb == "answer") {
      answer(texts_.expand(raw));
    } else {
      ASSERT_TRUE(raw.verb == "head" || raw.verb == "get" || raw.verb == "blob") << raw.verb;
      got = ask(raw);
    }
  }
  ASSERT_FALSE(row.expected.empty());
  if (!got.ok()) field::expect_error(row, got.error().message());
  for (const Step& raw : row.expected) {
    const Step step = texts_.expand(raw);
    if (step.verb == "hides") {
      ASSERT_FALSE(got.ok());
      EXPECT_EQ(got.error().message().find(step.word()), std::string::npos)
          << got.error().message();
    } else if (step.verb == "asked") {
      const std::size_t all = registry_.server().requests().size() + other_.requests().size();
      EXPECT_EQ(all, std::stoul(step.word()));
    } else if (step.verb == "digest") {
      ASSERT_TRUE(got.ok()) << row.origin << ": " << got.error().message();
      EXPECT_EQ(*got, step.word());
    } else if (step.verb == "bytes") {
      ASSERT_TRUE(got.ok()) << row.origin << ": " << got.error().message();
      EXPECT_EQ(*got, texts_.text(step.word()));
    } else {
      EXPECT_EQ(step.verb, "error") << "no expectation";
      EXPECT_FALSE(got.ok()) << row.origin << ": it was served";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, FieldRegistry,
                         testing::ValuesIn(field::read_rows(BERTH_FIELD_ROWS "/registries.tsv")),
                         field::row_name);

}  // namespace
}  // namespace berth::image
