// SPDX-License-Identifier: Apache-2.0
// Promise: however many pulls need a blob or a layer, one works on it, and the failure of one pull
// is not the failure of another.
#include <random>

#include "core/ring/with_deadline.h"
#include "tests/core/image/pull/fixture.h"

namespace berth::image {
namespace {

class PullTogether : public PullTest {
 protected:
  // Pulls all at once; the results are in the order of `names`.
  std::vector<Result<PullResult>> pull_all(const std::vector<std::string>& names) {
    std::vector<Result<PullResult>> results(names.size(), make_error(Errc::unknown, "did not run"));
    Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
    for (std::size_t i = 0; i < names.size(); ++i) {
      PullRequest request;
      request.reference = name(names[i]);
      scope.spawn(keep(puller_->pull(std::move(request)), results[i]));
    }
    ring_->run_until(close_scope(scope)).value();
    return results;
  }
  static Task<void> keep(Task<PullResult> task, Result<PullResult>& into) {
    Result<PullResult> result = co_await std::move(task).result();
    into = std::move(result);
  }
  static Task<void> close_scope(Scope& scope) { co_await scope.close(); }
};

TEST_F(PullTogether, ThirtyTwoPullsOfOverlappingImagesFetchEverythingOnce) {
  std::vector<Made> made;
  std::vector<std::string> names;
  for (int i = 0; i < 8; ++i) {
    const std::string tag = std::to_string(i);
    made.push_back(add("app", tag, {"base", std::string(200'000, 's'), "own " + tag}));
  }
  for (int i = 0; i < 32; ++i) names.push_back("app:" + std::to_string(i % 8));
  for (const Result<PullResult>& result : pull_all(names)) {
    ASSERT_TRUE(result.ok()) << result.error().message();
  }
  EXPECT_EQ(images_->list().size(), 8u);
  EXPECT_EQ(layers_.extractions, 2 + 8);
  EXPECT_EQ(fetched("app", made[0].blobs[0]), 1u);
  EXPECT_EQ(fetched("app", made[0].blobs[1]), 1u);
  for (const Made& image : made) EXPECT_EQ(fetched("app", image.blobs[2]), 1u);
}

TEST_F(PullTogether, AFailingPullDoesNotTakeSharedLayersFromAnother) {
  const Made good = add("app", "good", {"base", std::string(100'000, 'g')});
  const Made bad = add("app", "bad", {"base", "bad"});
  registry_.set_hook([=](const ServerRequest& request) {
    const bool spoiled = request.path.ends_with(bad.blobs[1]);
    const bool slow = request.path.ends_with(good.blobs[1]);
    ServerResponse response{.status = spoiled ? 404 : 0, .headers = {}, .body = ""};
    // By then the other pull waits for the shared layer.
    const int ms = slow ? 200 : spoiled ? 100 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    return response;
  });
  const std::vector<Result<PullResult>> results = pull_all({"app:bad", "app:good"});
  EXPECT_FALSE(results[0].ok());
  ASSERT_TRUE(results[1].ok()) << results[1].error().message();
  EXPECT_EQ(images_->list().size(), 1u);
  EXPECT_EQ(layers_.committed.size(), 2u);
  EXPECT_EQ(fetched("app", good.blobs[0]), 1u);
  // The blobs of the failed pull alone are removed without a further call.
  EXPECT_EQ(content_->list()->size(), 4u);
}

// A kubelet that is short of disk removes images while others are pulled.
TEST_F(PullTogether, RemovalDuringAPullKeepsTheLayersOfThePull) {
  add("app", "old", {"old"});
  ASSERT_TRUE(pull("app:old").ok());
  const Made other = add("app", "other", {"other"});
  ASSERT_TRUE(pull("app:other").ok());
  const Made fresh = add("app", "new", {"old", "fresh"});
  registry_.set_hook([=](const ServerRequest& request) {
    if (request.path.ends_with(fresh.blobs[1])) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    return ServerResponse{.status = 0, .headers = {}, .body = ""};
  });
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  Result<PullResult> result = make_error(Errc::unknown, "did not run");
  PullRequest request;
  request.reference = name("app:new");
  scope.spawn(keep(puller_->pull(std::move(request)), result));
  while (registry_.server().count("GET", "/v2/app/blobs/" + fresh.blobs[1]) == 0) {
    ring_->turn(false);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(*ring_->run_until(puller_->remove(plain_name(name("app:old")))));
  EXPECT_TRUE(*ring_->run_until(puller_->remove(plain_name(name("app:other")))));
  ASSERT_FALSE(result.ok()) << "it must still be on its way";
  EXPECT_EQ(layers_.committed.size(), 1u) << "the layer that the pull builds on";
  for (const std::string& gone : {other.blobs[0], other.config_digest, other.manifest_digest}) {
    EXPECT_FALSE(content_->size(*oci::Digest::parse(gone))->has_value()) << gone;
  }
  ring_->run_until(close_scope(scope)).value();
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(layers_.committed.size(), 2u);
  for (const oci::Digest& blob : needed_blobs(*find(name("app:new")))) {
    EXPECT_TRUE(content_->size(blob)->has_value()) << blob.text();
  }
  EXPECT_EQ(images_->list().size(), 1u);
}

TEST_F(PullTogether, AWatchSeesHowFarEachLayerOfARunningPullIs) {
  std::mt19937_64 random(5);
  std::string second(400'000, '\0');
  for (char& c : second) c = static_cast<char>(random());
  const Made made = add("app", "1", {"first", second});
  const std::string blob = gzip(second);
  registry_.set_hook([=](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (!request.path.ends_with(made.blobs[1])) return response;
    response = {.status = 200, .headers = {}, .body = blob};
    response.pause_after = 200'000;
    response.pause_ms = 300;
    return response;
  });
  PullRequest request;
  request.reference = name("app:1");
  request.watch = std::make_shared<PullWatch>();
  const std::shared_ptr<PullWatch> watch = request.watch;
  Result<PullResult> result = make_error(Errc::unknown, "did not run");
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  scope.spawn(keep(puller_->pull(std::move(request)), result));
  bool seen = false;
  while (!seen && !result.ok() && result.error().is(Errc::unknown)) {
    ring_->turn(false);
    const std::vector<LayerProgress> layers = watch->layers();
    if (layers.size() != 2) continue;
    seen = layers[1].stage == LayerProgress::Stage::fetching && layers[1].fetched > 0 &&
           layers[1].fetched < blob.size() && layers[1].size == blob.size();
  }
  EXPECT_TRUE(seen);
  ring_->run_until(close_scope(scope)).value();
  EXPECT_TRUE(result.ok());
}

TEST_F(PullTogether, ACancelledPullEndsAndLeavesNothing) {
  const Made made = add("app", "1", {"first", "second"});
  registry_.set_hook([=](const ServerRequest& request) {
    const bool stalled = request.path.ends_with(made.blobs[1]);
    return ServerResponse{
        .status = stalled ? 200 : 0, .headers = {}, .body = "", .stall_ms = stalled ? 60'000 : 0};
  });
  PullRequest request;
  request.reference = name("app:1");
  request.watch = std::make_shared<PullWatch>();
  const std::shared_ptr<PullWatch> watch = request.watch;
  const auto start = std::chrono::steady_clock::now();
  Result<PullResult> given_up = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(300), puller_->pull(std::move(request))));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  while (watch.use_count() > 1) ring_->turn(true);  // the pull has the other
  ring_->run_until(puller_->sweep()).value();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  expect_nothing_left();
}

TEST_F(PullTogether, ASharedFetchOutlivesThePullThatStartedIt) {
  std::mt19937_64 random(7);
  std::string shared(400'000, '\0');
  for (char& c : shared) c = static_cast<char>(random());
  const Made first = add("app", "first", {shared, "own of the first"});
  const Made second = add("app", "second", {shared});
  ASSERT_EQ(first.blobs[0], second.blobs[0]);
  const std::string slow_blob = first.blobs[0];
  std::string slow_bytes = gzip(shared);
  registry_.set_hook([=](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (!request.path.ends_with(slow_blob)) return response;
    response = {.status = 200, .headers = {}, .body = slow_bytes};
    response.pause_after = 50'000;
    response.pause_ms = 600;
    return response;
  });
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  Result<PullResult> result = make_error(Errc::unknown, "did not run");
  const auto later = [&]() -> Task<void> {
    co_await ring_->sleep_until(Deadline::after_ms(100));
    PullRequest request;
    request.reference = name("app:second");
    co_await keep(puller_->pull(std::move(request)), result);
  };
  scope.spawn(later());
  PullRequest request;
  request.reference = name("app:first");
  Result<PullResult> given_up = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(300), puller_->pull(std::move(request))));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  ring_->run_until(close_scope(scope)).value();
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(fetched("app", slow_blob), 1u);
  EXPECT_EQ(images_->list().size(), 1u);
}

TEST_F(PullTogether, CloseCancelsAStalledPullSoon) {
  const Made made = add("app", "1", {"first", "second"});
  registry_.set_hook([=](const ServerRequest& request) {
    const bool stalled = request.path.ends_with(made.blobs[1]);
    return ServerResponse{
        .status = stalled ? 200 : 0, .headers = {}, .body = "", .stall_ms = stalled ? 20'000 : 0};
  });
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  Result<PullResult> result = make_error(Errc::unknown, "did not run");
  PullRequest request;
  request.reference = name("app:1");
  scope.spawn(keep(puller_->pull(std::move(request)), result));
  while (registry_.server().count("GET", "/v2/app/blobs/" + made.blobs[1]) == 0) {
    ring_->turn(false);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(ring_->run_until(puller_->close()).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  ring_->run_until(close_scope(scope)).value();
  ASSERT_FALSE(result.ok());
  // Cancelled in the transfer, or refused at the next step.
  EXPECT_TRUE(result.error().is(Errc::cancelled) || result.error().is(Errc::unavailable))
      << result.error().message();
  EXPECT_TRUE(images_->list().empty());
  EXPECT_TRUE(layers_.active.empty());
}

}  // namespace
}  // namespace berth::image
