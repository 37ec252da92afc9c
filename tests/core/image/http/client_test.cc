// SPDX-License-Identifier: Apache-2.0
// Promise: an exchange ends once, with the server's answer or an error, whatever the server, the
// sink or the caller do; after that the sink is not called.
#include "core/image/http/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/ring/with_deadline.h"
#include "core/task/scope.h"
#include "tests/core/image/http/fake_server.h"
#include "tests/core/image/http/own_network.h"

namespace berth::image {
namespace {

class TextSink final : public DownloadSink {
 public:
  Status begin(const HttpResponse&) override {
    ++begun;
    return {};
  }
  Result<Took> write(std::string_view bytes) override {
    if (refuse_at != 0 && text.size() + bytes.size() > refuse_at) {
      return make_error(Errc::data_loss, "the sink is full");
    }
    text += bytes;
    return Took::all;
  }
  std::string text;
  int begun = 0;
  std::size_t refuse_at = 0;
};

// Refuses every other piece; another thread resumes it, a moment later or at once.
class SlowSink final : public DownloadSink {
 public:
  ~SlowSink() override {
    for (std::thread& thread : threads_) thread.join();
  }
  Result<Took> write(std::string_view bytes) override {
    refused_ = !refused_;
    if (refused_) {
      ++pauses;
      const bool at_once = pauses % 2 == 0;
      if (at_once) {
        resume();
      } else {
        threads_.emplace_back([this] {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          resume();
        });
      }
      return Took::none;
    }
    text += bytes;
    return Took::all;
  }
  std::string text;
  int pauses = 0;

 private:
  bool refused_ = false;
  std::vector<std::thread> threads_;
};

class HttpClientTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
    ring_ = *Ring::create();
    client_ = *HttpClient::create(*ring_, "berth-test");
  }
  Task<HttpResponse> exchange(HttpRequest request, DownloadSink& sink) {
    HttpResponse response = co_await client_->exchange(std::move(request), sink);
    co_return response;
  }
  Result<HttpResponse> get(const std::string& host, DownloadSink& sink,
                           const std::string& path = "/x") {
    return ring_->run_until(exchange(request(host, path), sink));
  }
  static HttpRequest request(const std::string& host, const std::string& path) {
    HttpRequest get;
    get.url = "http://" + host + path;
    return get;
  }

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, BringsBodiesAndKeepsTheTextOfErrors) {
  FakeServer server([](const ServerRequest& request) {
    const bool wanted = request.path == "/x";
    return ServerResponse{.status = wanted ? 200 : 404,
                          .headers = {"X-Kind:  thing "},
                          .body = wanted ? "the body" : "no such"};
  });
  TextSink sink;
  Result<HttpResponse> found = get(server.host(), sink);
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->status, 200);
  EXPECT_EQ(*found->header("x-kind"), "thing");
  EXPECT_EQ(sink.text, "the body");
  Result<HttpResponse> missing = get(server.host(), sink, "/y");
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->error_body, "no such");
  EXPECT_EQ(sink.text, "the body");
  EXPECT_EQ(sink.begun, 1);
}

TEST_F(HttpClientTest, AnErrorOfTheSinkEndsTheExchange) {
  FakeServer server([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = std::string(1'000'000, 'x')};
  });
  TextSink sink;
  sink.refuse_at = 100'000;
  Result<HttpResponse> refused = get(server.host(), sink);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "the sink is full");
}

TEST_F(HttpClientTest, PausesAndGoesOnWithoutLosingOrRepeatingAByte) {
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7919 >> 8);
  FakeServer server([&](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = bytes};
  });
  SlowSink sink;
  Result<HttpResponse> response = get(server.host(), sink);
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_GT(sink.pauses, 40);
  EXPECT_TRUE(sink.text == bytes);
}

TEST_F(HttpClientTest, APausedTransferIsNotTooSlow) {
  FakeServer server([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "the body"};
  });
  class Sleepy final : public DownloadSink {
   public:
    ~Sleepy() override { thread_.join(); }
    Result<Took> write(std::string_view) override {
      if (thread_.joinable()) return Took::all;
      thread_ = std::thread([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
        resume();
      });
      return Took::none;
    }

   private:
    std::thread thread_;
  };
  Sleepy sink;
  HttpRequest slow = request(server.host(), "/x");
  slow.low_speed_s = 1;
  Result<HttpResponse> response = ring_->run_until(exchange(std::move(slow), sink));
  EXPECT_TRUE(response.ok()) << response.error().message();
}

// A peer may wait for this side while the transfer thread is busy.
TEST_F(HttpClientTest, TimeInWhichTheThreadIsBusyIsNotTooSlow) {
  std::atomic<bool> away_over{false};
  FakeServer server([&](const ServerRequest& request) {
    const bool is_late = request.path == "/late";
    for (int i = 0; i < 1'000 && is_late && !away_over; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const int stall_ms = is_late ? 100 : 400;
    return ServerResponse{.status = 200, .headers = {}, .body = "the body", .stall_ms = stall_ms};
  });
  class Blocking final : public DownloadSink {
   public:
    explicit Blocking(std::atomic<bool>& over) : over_(over) {}
    Result<Took> write(std::string_view) override {
      std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
      over_ = true;
      return Took::all;
    }

   private:
    std::atomic<bool>& over_;
  };
  Blocking blocking(away_over);
  TextSink late;
  HttpRequest first = request(server.host(), "/first");
  HttpRequest second = request(server.host(), "/late");
  first.low_speed_s = second.low_speed_s = 2;
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  const auto one = [&](HttpRequest wanted, DownloadSink& sink) -> Task<void> {
    co_await exchange(std::move(wanted), sink);
  };
  scope.spawn(one(std::move(first), blocking));
  scope.spawn(one(std::move(second), late));
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  ASSERT_TRUE(ring_->run_until(all()).ok());
  EXPECT_EQ(late.text, "the body");
}

TEST_F(HttpClientTest, CancellingEndsAnExchangeInEveryState) {
  FakeServer server([](const ServerRequest& request) {
    const int stall_ms = request.path == "/stalls" ? 60'000 : 0;
    return ServerResponse{
        .status = 200, .headers = {}, .body = std::string(200'000, 'x'), .stall_ms = stall_ms};
  });
  class FullSink final : public DownloadSink {
   public:
    Result<Took> write(std::string_view) override { return Took::none; }
  };
  const auto start = std::chrono::steady_clock::now();
  for (const char* path : {"/stalls", "/paused"}) {
    FullSink sink;
    Result<HttpResponse> given_up = ring_->run_until(with_deadline(
        *ring_, Deadline::after_ms(100), exchange(request(server.host(), path), sink)));
    ASSERT_FALSE(given_up.ok());
    EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded) << given_up.error().message();
  }
  // Cancel at every distance from the end of the exchange.
  for (int delay_us = 0; delay_us < 2'000; delay_us += 40) {
    TextSink sink;
    Result<HttpResponse> either =
        ring_->run_until(with_deadline(*ring_, Deadline::after_ns(delay_us * 1'000),
                                       exchange(request(server.host(), "/fast"), sink)));
    if (either.ok()) {
      EXPECT_EQ(sink.text.size(), 200'000u);
    } else {
      EXPECT_EQ(either.error().code, Errc::deadline_exceeded);
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(HttpClientTest, AnErrorHasTheReasonForAMissingAnswer) {
  TextSink sink;
  Result<HttpResponse> refused = get("127.0.0.1:1", sink);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_NE(refused.error().message().find("127.0.0.1"), std::string::npos);
  FakeServer server([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "x", .stall_ms = 60'000};
  });
  HttpRequest slow = request(server.host(), "/x");
  slow.low_speed_s = 1;
  Result<HttpResponse> stalled = ring_->run_until(exchange(std::move(slow), sink));
  ASSERT_FALSE(stalled.ok());
  EXPECT_EQ(stalled.error().code, Errc::deadline_exceeded);
}

TEST_F(HttpClientTest, RunsManyExchangesAtOnceAndUsesConnectionsAgain) {
  FakeServer server([](const ServerRequest& request) {
    return ServerResponse{.status = 200, .headers = {}, .body = request.path, .keep_alive = true};
  });
  constexpr int kExchanges = 200;
  std::vector<std::unique_ptr<TextSink>> sinks;
  std::vector<Result<HttpResponse>> outcomes(kExchanges, make_error(Errc::unknown, "not run"));
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  const auto one = [&](int i) -> Task<void> {
    outcomes[static_cast<std::size_t>(i)] =
        co_await exchange(request(server.host(), "/" + std::to_string(i)), *sinks[i]).result();
  };
  for (int i = 0; i < kExchanges; ++i) {
    sinks.push_back(std::make_unique<TextSink>());
    scope.spawn(one(i));
  }
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  ASSERT_TRUE(ring_->run_until(all()).ok());
  for (int i = 0; i < kExchanges; ++i) {
    ASSERT_TRUE(outcomes[static_cast<std::size_t>(i)].ok());
    EXPECT_EQ(sinks[static_cast<std::size_t>(i)]->text, "/" + std::to_string(i));
  }
  TextSink sink;
  const std::size_t before = server.connections();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(get(server.host(), sink).ok());
  EXPECT_EQ(server.connections(), before);
}

// A registry verifies a large blob after its last byte and sends nothing meanwhile.
TEST_F(HttpClientTest, AnAnswerToAnUploadMayTakeLongerThanAStallInIt) {
  FakeServer server([](const ServerRequest& request) {
    const int stall_ms = request.path == "/late" ? 2'500 : 60'000;
    return ServerResponse{.status = 201, .headers = {}, .body = {}, .stall_ms = stall_ms};
  });
  UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_EQ(::pwrite(file.get(), "bytes", 5, 0), 5);
  UploadSource upload{file.get(), 5, nullptr};
  const auto put_it = [&](const char* path, std::int64_t answer_s) {
    HttpRequest put = request(server.host(), path);
    put.method = "PUT";
    put.upload = &upload;
    put.low_speed_s = 1;
    put.upload_answer_s = answer_s;
    TextSink sink;
    return ring_->run_until(exchange(std::move(put), sink));
  };
  Result<HttpResponse> patient = put_it("/late", 60);
  EXPECT_TRUE(patient.ok()) << patient.error().message();
  Result<HttpResponse> given_up = put_it("/never", 2);
  ASSERT_FALSE(given_up.ok());
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  EXPECT_NE(given_up.error().message().find("no answer for 2 s"), std::string::npos)
      << given_up.error().message();
}

TEST_F(HttpClientTest, SendsAFileAndAnswersFromMemory) {
  FakeServer server([](const ServerRequest& request) {
    return ServerResponse{.status = 201, .headers = {}, .body = request.method + request.body};
  });
  UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const std::string bytes(500'000, 'u');
  ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  std::atomic<std::uint64_t> sent{0};
  UploadSource upload{file.get(), bytes.size(), &sent};
  HttpRequest put = request(server.host(), "/u");
  put.method = "PUT";
  put.upload = &upload;
  TextSink sink;
  Result<HttpResponse> response = ring_->run_until(exchange(std::move(put), sink));
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_TRUE(sink.text == "PUT" + bytes);
  EXPECT_EQ(sent, bytes.size());
  HttpRequest patch = request(server.host(), "/u");
  patch.method = "PATCH";
  patch.body = "small";
  sink.text.clear();
  ASSERT_TRUE(ring_->run_until(exchange(std::move(patch), sink)).ok());
  EXPECT_EQ(sink.text, "PATCHsmall");
}

}  // namespace
}  // namespace berth::image
