// SPDX-License-Identifier: Apache-2.0
// Promise: pulls get memory in the order they ask, and none delays another without need: a failed
// or cancelled pull leaves its place at once, and a slow registry delays only its own images.
#include <atomic>
#include <random>

#include "core/ring/with_deadline.h"
#include "tests/core/image/pull/fixture.h"

namespace berth::image {
namespace {

class PullFairness : public PullTest {
 protected:
  // A Puller with this memory for buffers.
  void reopen(std::size_t memory_max) {
    close();
    options_.memory_max = memory_max;
    open();
  }
  void TearDown() override {
    if (puller_.has_value()) ring_->run_until(puller_->close()).value();
    finish();
    PullTest::TearDown();
  }
  // Starts a pull beside the test; finish() waits for all of them.
  std::shared_ptr<PullWatch> start(const std::string& rest) {
    if (!beside_.has_value()) {
      beside_.emplace(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
    }
    PullRequest request;
    request.reference = name(rest);
    request.watch = std::make_shared<PullWatch>();
    std::shared_ptr<PullWatch> watch = request.watch;
    beside_->spawn(ignore(puller_->pull(std::move(request))));
    return watch;
  }
  void finish() {
    if (!beside_.has_value()) return;
    ring_->run_until(close_scope(*beside_)).value();
    beside_.reset();
  }
  static Task<void> ignore(Task<PullResult> task) { co_await std::move(task).result(); }
  static Task<void> close_scope(Scope& scope) { co_await scope.close(); }

  template <typename Condition>
  void turn_until(Condition holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << "not true in time";
      ring_->turn(false);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool asked_for(const std::string& digest) { return fetched("app", digest) > 0; }

  // Sets the registry's answers for blobs by digest; all others stay as they are.
  void answer(std::map<std::string, ServerResponse> answers) {
    registry_.set_hook([answers = std::move(answers)](const ServerRequest& request) {
      for (const auto& [digest, response] : answers) {
        if (request.path.ends_with(digest)) return response;
      }
      return ServerResponse{.status = 0, .headers = {}, .body = ""};
    });
  }
  static ServerResponse refused() { return {.status = 403, .headers = {}, .body = ""}; }
  // Sends the first half, and the rest at the end of the test.
  static ServerResponse stalled(const std::string& blob) {
    ServerResponse response{.status = 200, .headers = {}, .body = blob};
    response.pause_after = static_cast<std::int64_t>(blob.size() / 2);
    response.pause_ms = 30'000;
    return response;
  }
  // Blocks extractions until the test releases them.
  void hold_extractions() {
    layers_.before_extract = [this] {
      extracting_ = true;
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (!go_on_ && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
  }

  static std::string noise(std::size_t size, unsigned seed) {
    std::mt19937_64 random(seed);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  }

  // Pulls app:b, whose layer the registry refuses, while app:a is being extracted.
  void refused_while_a_extracts() {
    start("app:a");
    turn_until([&] { return extracting_.load(); });
    PullRequest request;
    request.reference = name("app:b");
    Result<PullResult> result = ring_->run_until(
        with_deadline(*ring_, Deadline::after_ms(10'000), puller_->pull(std::move(request))));
    go_on_ = true;
    ASSERT_FALSE(result.ok());
    EXPECT_TRUE(result.error().is(Errc::permission_denied)) << result.error().message();
  }

  std::optional<Scope> beside_;
  std::atomic<bool> extracting_{false};
  std::atomic<bool> go_on_{false};
};

TEST_F(PullFairness, APullThatIsRefusedDoesNotWaitForTheExtractionsOfAnother) {
  reopen(8 << 20);  // one extraction at a time
  hold_extractions();
  add("app", "a", {"a layer of a"});
  const Made b = add("app", "b", {"a layer of b", "another"});
  answer({{b.blobs[1], refused()}});
  refused_while_a_extracts();
}

TEST_F(PullFairness, APullThatIsRefusedDoesNotWaitForASharedLayerOfAnother) {
  hold_extractions();
  add("app", "a", {"shared"});
  const Made b = add("app", "b", {"shared", "own"});
  answer({{b.blobs[1], refused()}});
  refused_while_a_extracts();
}

TEST_F(PullFairness, ACancelledPullLeavesTheQueueForFetches) {
  reopen(4 << 20);  // one fetch at a time
  const std::string slow = noise(300'000, 1);
  const Made a = add("app", "a", {slow});
  add("app", "b", {"a layer of b"});
  answer({{a.blobs[0], stalled(gzip(slow))}});
  start("app:a");
  turn_until([&] { return asked_for(a.blobs[0]); });
  PullRequest request;
  request.reference = name("app:b");
  request.watch = std::make_shared<PullWatch>();
  const std::shared_ptr<PullWatch> watch = request.watch;
  Result<PullResult> given_up = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(300), puller_->pull(std::move(request))));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  const auto left = std::chrono::steady_clock::now();
  turn_until([&] { return watch.use_count() == 1; });  // the pull had the other
  EXPECT_LT(std::chrono::steady_clock::now() - left, std::chrono::seconds(5));
}

TEST_F(PullFairness, AConfigurationWaitsForFetchMemoryToo) {
  reopen(4 << 20);  // one fetch at a time
  const std::string slow = noise(300'000, 1);
  const Made a = add("app", "a", {slow});
  const Made b = add("app", "b", {"a layer of b"});
  answer({{a.blobs[0], stalled(gzip(slow))}});
  start("app:a");
  turn_until([&] { return asked_for(a.blobs[0]); });
  PullRequest request;
  request.reference = name("app:b");
  Result<PullResult> given_up = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(1'000), puller_->pull(std::move(request))));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  EXPECT_FALSE(asked_for(b.config_digest));
  EXPECT_EQ(registry_.server().count("GET", "/v2/app/manifests/" + b.manifest_digest), 1u);
}

TEST_F(PullFairness, ImpliedDirectoriesOfWaitingLayersAreLimited) {
  layers_.implied = {std::string(6 << 20, 'd')};
  const Made made = add("app", "1", {"lowest", "second", "third", "fourth"});
  answer({{made.blobs[0], stalled(gzip("lowest"))}});
  PullRequest request;
  request.reference = name("app:1");
  Result<PullResult> result = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(10'000), puller_->pull(std::move(request))));
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().is(Errc::resource_exhausted)) << result.error().message();
  EXPECT_NE(result.error().message().find(": too many directories"), std::string::npos);
  add("app", "2", {"one", "two"});
  EXPECT_TRUE(pull("app:2").ok());
}

TEST_F(PullFairness, SlowLayersLeaveMemoryForOtherExtractions) {
  reopen(16 << 20);  // two extractions at a time
  const std::vector<std::string> slow = {noise(300'000, 1), noise(300'000, 2)};
  const Made a = add("app", "a", slow);
  answer({{a.blobs[0], stalled(gzip(slow[0]))}, {a.blobs[1], stalled(gzip(slow[1]))}});
  layers_.before_extract = [&] { extracting_ = true; };
  start("app:a");
  turn_until([&] { return asked_for(a.blobs[0]) && asked_for(a.blobs[1]) && extracting_; });
  add("app", "b", {"one", "two", "three"});
  PullRequest request;
  request.reference = name("app:b");
  Result<PullResult> result = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(10'000), puller_->pull(std::move(request))));
  ASSERT_TRUE(result.ok()) << result.error().message();
}

TEST_F(PullFairness, ASlowRegistryLeavesFetchMemoryForOthers) {
  reopen(16 << 20);  // four fetches at a time
  std::map<std::string, ServerResponse> answers;
  for (unsigned image = 0; image < 2; ++image) {
    std::vector<std::string> layers;
    for (unsigned i = 0; i < 3; ++i) layers.push_back(noise(100'000, 10 * image + i));
    const Made made = add("app", std::to_string(image), layers);
    for (unsigned i = 0; i < 3; ++i) answers[made.blobs[i]] = stalled(gzip(layers[i]));
  }
  answer(answers);
  start("app:0");
  start("app:1");
  const auto slow = [&] {
    std::size_t count = 0;
    for (const auto& [digest, response] : answers) count += fetched("app", digest);
    return count;
  };
  turn_until([&] { return slow() >= 3; });
  FakeRegistry other;
  const Made made = make("app", {"small"});
  other.add_blob("app", gzip("small"));
  other.add_blob("app", made.config);
  other.add_manifest("app", "1", "application/vnd.oci.image.manifest.v1+json", made.manifest);
  PullRequest request;
  request.reference = other.host() + "/app:1";
  Result<PullResult> result = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(10'000), puller_->pull(std::move(request))));
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(slow(), 3u);
}

}  // namespace
}  // namespace berth::image
