// SPDX-License-Identifier: Apache-2.0
// Claims about the gRPC server on the loop, with real clients on a unix socket. The messages are
// those of the CRI; the handlers are defined by the tests.
#include "cri/rpc/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "tests/cri/rpc/place.h"

namespace berth::rpc {
namespace {

using std::chrono_literals::operator""s;

constexpr const char* kEventsPath = "/runtime.v1.RuntimeService/GetContainerEvents";

TEST(RpcServer, AnswersWhatTheHandlerReturnsAndCountsCalls) {
  Place place(echo_methods());
  const auto client = place.client();
  std::string answer;
  for (int i = 0; i < 100; ++i) {
    const grpc::Status status = ask(*client, std::to_string(i), &answer);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(answer, std::to_string(i));
  }
  EXPECT_EQ(place.calls, 100);
}

TEST(RpcServer, AnErrorBecomesAStatusWhoseTextIsPrintable) {
  Place place(echo_methods());
  std::string answer;
  const grpc::Status status = ask(*place.client(), "bad", &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "version \"bad\": none?such");
}

TEST(RpcServer, AnUnimplementedMethodIsNamedInTheError) {
  Place place(echo_methods());
  const auto client = place.client();
  grpc::ClientContext context;
  v1::AttachResponse response;
  const grpc::Status status = client->Attach(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "Attach is not implemented by berth yet");
  EXPECT_EQ(place.calls, 0);
}

TEST(RpcServer, AMalformedRequestIsRefused) {
  Methods methods = echo_methods();
  // The client sends another message here, whose first field has another wire type.
  methods.add("/runtime.v1.RuntimeService/StopContainer",
              unary<v1::RuntimeStatus, v1::VersionResponse>(
                  [](const v1::RuntimeStatus&) { return echo({}); }));
  Place place(std::move(methods));
  grpc::ClientContext context;
  v1::StopContainerRequest request;
  request.set_container_id("\xff\xff not a message");
  v1::StopContainerResponse response;
  const grpc::Status status = place.client()->StopContainer(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the request is not a runtime.v1.RuntimeStatus");
}

TEST(RpcServer, ManyClientsAtOnceGetTheirOwnAnswers) {
  Place place(echo_methods());
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t]() {
      const auto client = place.client();
      for (int i = 0; i < 200; ++i) {
        std::string answer;
        const std::string text = std::to_string(t) + "." + std::to_string(i);
        if (!ask(*client, text, &answer).ok() || answer != text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(place.calls, 1600);
}

// Sends `count` events of 64 KiB each.
struct Source {
  int count = 0;
  std::atomic<int> sent{0};
  OneShotEvent left_early{};

  Task<void> stream(Call& call) {
    v1::GetEventsRequest request;
    const bool got = co_await call.read(request);
    if (!got) co_await fail(Errc::invalid_argument, "no request");
    v1::ContainerEventResponse event;
    event.set_container_id(std::string(65536, 'x'));
    for (int i = 0; i < count; ++i) {
      event.set_created_at(i);
      Result<void> wrote = co_await call.write(event).result();
      if (!wrote.ok()) left_early.set();
      co_await std::move(wrote);
      ++sent;
    }
  }
  Methods methods() {
    Methods methods;
    methods.add(kEventsPath, {[this](Call& call) { return stream(call); }, true});
    methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(&echo));
    return methods;
  }
};

TEST(RpcServer, AStreamArrivesWholeAndInOrder) {
  Source source{.count = 300};
  Place place(source.methods());
  grpc::ClientContext context;
  const auto client = place.client();
  const auto reader = client->GetContainerEvents(&context, {});
  v1::ContainerEventResponse event;
  int got = 0;
  while (reader->Read(&event)) ASSERT_EQ(event.created_at(), got++);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(got, 300);
}

TEST(RpcServer, AClientThatDoesNotReadStopsTheHandlerAndFreesItWhenItLeaves) {
  Source source{.count = 100'000};
  Place place(source.methods());
  {
    grpc::ClientContext context;
    const auto client = place.client();
    const auto reader = client->GetContainerEvents(&context, {});
    // Instead of a timeout, counts calls of another client, which run on the same threads.
    const auto other = place.client();
    std::string answer;
    int before = -1;
    while (source.sent != before || before <= 0) {
      before = source.sent;
      for (int i = 0; i < 100; ++i) ASSERT_TRUE(ask(*other, "on", &answer).ok());
    }
    EXPECT_LT(source.sent, 1000);  // 64 MB; windows and socket buffers hold a few
    context.TryCancel();
  }
  EXPECT_TRUE(source.left_early.wait());
}

TEST(RpcServer, AHandlerThatWaitsForSomethingElseIsCancelledWhenItsClientLeaves) {
  OneShotEvent waiting;
  OneShotEvent cancelled;
  Event never;
  Methods methods;
  const auto wait = [&](Call&) -> Task<void> {
    waiting.set();
    Result<void> ended = co_await never.wait().result();
    if (!ended.ok() && ended.error().is(Errc::cancelled)) cancelled.set();
    co_await std::move(ended);
  };
  methods.add(kEventsPath, {wait, true});
  Place place(std::move(methods));
  grpc::ClientContext context;
  const auto client = place.client();
  const auto reader = client->GetContainerEvents(&context, {});
  EXPECT_TRUE(waiting.wait());
  context.TryCancel();
  EXPECT_TRUE(cancelled.wait());
}

TEST(RpcServer, ACallThatMustEndGoesOnWithoutItsClient) {
  OneShotEvent begun;
  OneShotEvent ended;
  Event go_on;
  const auto finish_it = [&](const v1::VersionRequest&) -> Task<v1::VersionResponse> {
    begun.set();
    co_await go_on.wait();
    ended.set();
    co_return v1::VersionResponse();
  };
  const auto release = [&](const v1::StopContainerRequest&) -> Task<v1::StopContainerResponse> {
    go_on.set();
    co_return v1::StopContainerResponse();
  };
  Methods methods;
  methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(finish_it));
  methods.add("/runtime.v1.RuntimeService/StopContainer",
              unary<v1::StopContainerRequest, v1::StopContainerResponse>(release));
  Place place(std::move(methods));
  {
    grpc::ClientContext context;
    std::thread leaver([&]() {
      EXPECT_TRUE(begun.wait());
      context.TryCancel();
    });
    v1::VersionResponse response;
    const grpc::Status status = place.client()->Version(&context, {}, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
    leaver.join();
  }
  EXPECT_FALSE(ended.is_set());
  grpc::ClientContext context;
  v1::StopContainerResponse response;
  EXPECT_TRUE(place.client()->StopContainer(&context, {}, &response).ok());
  EXPECT_TRUE(ended.wait());
}

TEST(RpcServer, ShutdownEndsRunningStreamsWithinTheGracePeriod) {
  Source source{.count = 100'000};
  Place place(source.methods());
  place.grace_ms = 200;
  grpc::ClientContext context;
  const auto client = place.client();
  const auto reader = client->GetContainerEvents(&context, {});
  v1::ContainerEventResponse event;
  ASSERT_TRUE(reader->Read(&event));
  const auto before = std::chrono::steady_clock::now();
  place.end();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  while (reader->Read(&event)) continue;
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_NE(::access(place.path().c_str(), F_OK), 0) << "the socket is left";
}

// A slow call that ends within the grace period gets its response.
TEST(RpcServer, ARunningCallEndsWellWithinTheGraceAndNewOnesAreRefused) {
  OneShotEvent entered;
  Event go_on;
  const auto wait_if_slow = [&](const v1::VersionRequest& request) -> Task<v1::VersionResponse> {
    if (request.version() == "slow") {
      entered.set();
      co_await go_on.wait();
    }
    const v1::VersionResponse response = co_await echo(request);
    co_return response;
  };
  Methods methods;
  methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(wait_if_slow));
  Place place(std::move(methods));
  const auto client = place.client();
  const auto late = place.client();
  std::string answer;
  std::string none;
  grpc::Status status;
  std::thread caller([&] { status = ask(*client, "slow", &answer); });
  EXPECT_TRUE(entered.wait());
  std::thread ender([&] { place.end(); });
  // The shutdown begins on the loop at an unknown time; until then calls are answered.
  grpc::Status refused = ask(*late, "late", &none);
  while (refused.ok()) refused = ask(*late, "late", &none);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  place.set(go_on);
  caller.join();
  ender.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer, "slow");
}

TEST(RpcServer, TheSocketIsForRootAndItsGroup) {
  Place place(echo_methods());
  struct stat info {};
  ASSERT_EQ(::stat(place.path().c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0660u);
}

}  // namespace
}  // namespace berth::rpc
