// SPDX-License-Identifier: Apache-2.0
// Claims about the gRPC server on the loop, through real clients on a unix socket. The messages are
// the CRI's; what the handlers do with them is the tests' own.
#include "cri/rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "core/task/event.h"
#include "cri/proto/services.grpc.pb.h"
#include "tests/support/temporary_dir.h"

namespace berth::rpc {
namespace {

namespace v1 = runtime::v1;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr const char* kVersionPath = "/runtime.v1.RuntimeService/Version";
constexpr const char* kEventsPath = "/runtime.v1.RuntimeService/GetContainerEvents";

// A loop on a thread of its own with a server that has `methods`.
class Place {
 public:
  explicit Place(Methods methods) : methods_(std::move(methods)) {
    std::atomic<bool> up = false;
    loop_ = std::thread([this, &up]() { run(up); });
    while (!up) std::this_thread::sleep_for(1ms);
  }
  ~Place() { end(); }

  void end() {
    if (!loop_.joinable()) return;
    ring_->post([this]() { ending_.set(); });
    loop_.join();
  }

  std::string path() const { return directory_ / "s.sock"; }
  std::string endpoint() const { return "unix://" + path(); }
  std::unique_ptr<v1::RuntimeService::Stub> client() const {
    // Channels with the same arguments share a connection; each client here is one of its own.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::RuntimeService::NewStub(
        grpc::CreateCustomChannel(endpoint(), grpc::InsecureChannelCredentials(), arguments));
  }

  Ring& ring() { return *ring_; }

  std::atomic<int> calls = 0;
  std::int64_t grace_ms = 5'000;

 private:
  void run(std::atomic<bool>& up) {
    Result<std::unique_ptr<Ring>> ring = Ring::create();
    ASSERT_TRUE(ring.ok()) << ring.error().message();
    ring_ = std::move(*ring);
    Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
    ServerParts parts{*ring_, scope, methods_, [this]() { ++calls; }};
    Result<std::unique_ptr<Server>> server = Server::start(std::move(parts), endpoint());
    ASSERT_TRUE(server.ok()) << server.error().message();
    server_ = std::move(*server);
    up = true;
    const Status ended = ring_->run_until(serve_until_end());
    EXPECT_TRUE(ended.ok());
    server_.reset();
    ring_.reset();
  }
  Task<void> serve_until_end() {
    co_await ending_.wait();
    co_await server_->shut_down(grace_ms);
  }

  Methods methods_;
  const TemporaryDir directory_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Server> server_;
  Event ending_;
  std::thread loop_;
};

Task<v1::VersionResponse> echo(const v1::VersionRequest& request) {
  if (request.version() == "bad") co_await fail(Errc::not_found, "version \"bad\": none\nsuch");
  v1::VersionResponse response;
  response.set_version(request.version());
  co_return response;
}

Task<v1::VersionResponse> slow_echo(Ring& ring, std::atomic<bool>& entered,
                                    const v1::VersionRequest& request) {
  entered = true;
  co_await ring.sleep_until(Deadline::after_ms(600));
  const v1::VersionResponse response = co_await echo(request);
  co_return response;
}

Methods echo_methods() {
  Methods methods;
  methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(&echo));
  return methods;
}

grpc::Status ask(v1::RuntimeService::Stub& client, const std::string& text, std::string* answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 20s);
  v1::VersionRequest request;
  request.set_version(text);
  v1::VersionResponse response;
  const grpc::Status status = client.Version(&context, request, &response);
  *answer = response.version();
  return status;
}

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

TEST(RpcServer, AMethodThatIsNotBuiltIsNamed) {
  Place place(echo_methods());
  const auto client = place.client();
  grpc::ClientContext context;
  v1::AttachResponse response;
  const grpc::Status status = client->Attach(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "Attach is not implemented by berth yet");
  EXPECT_EQ(place.calls, 0);
}

TEST(RpcServer, BytesThatAreNoRequestAreRefused) {
  Methods methods = echo_methods();
  // The client of this path sends another message, whose first field is of another wire type.
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
  std::atomic<int> sent = 0;
  std::atomic<bool> left_early = false;

  Task<void> stream(Call& call) {
    v1::GetEventsRequest request;
    const bool got = co_await call.read(request);
    if (!got) co_await fail(Errc::invalid_argument, "no request");
    v1::ContainerEventResponse event;
    event.set_container_id(std::string(65536, 'x'));
    for (int i = 0; i < count; ++i) {
      event.set_created_at(i);
      Result<void> wrote = co_await call.write(event).result();
      if (!wrote.ok()) left_early = true;
      co_await std::move(wrote);
      ++sent;
    }
  }
  Methods methods() {
    Methods methods;
    methods.add(kEventsPath, {[this](Call& call) { return stream(call); }, true});
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
    int before = -1;
    while (source.sent != before || before <= 0) {
      before = source.sent;
      std::this_thread::sleep_for(300ms);
    }
    EXPECT_LT(source.sent, 1000);  // 64 MB; windows and socket buffers hold a few
    context.TryCancel();
  }
  for (int i = 0; i < 500 && !source.left_early; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(source.left_early);
}

TEST(RpcServer, AHandlerThatWaitsForSomethingElseIsCancelledWhenItsClientLeaves) {
  std::atomic<bool> waiting = false;
  std::atomic<int> cancelled = 0;
  Event never;
  Methods methods;
  const auto wait = [&](Call&) -> Task<void> {
    waiting = true;
    Result<void> ended = co_await never.wait().result();
    if (!ended.ok() && ended.error().is(Errc::cancelled)) ++cancelled;
    co_await std::move(ended);
  };
  methods.add(kEventsPath, {wait, true});
  Place place(std::move(methods));
  grpc::ClientContext context;
  const auto client = place.client();
  const auto reader = client->GetContainerEvents(&context, {});
  while (!waiting) std::this_thread::sleep_for(1ms);
  context.TryCancel();
  for (int i = 0; i < 500 && cancelled == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(cancelled, 1);
}

TEST(RpcServer, ACallThatMustEndGoesOnWithoutItsClient) {
  std::atomic<bool> begun = false;
  std::atomic<bool> ended = false;
  Event go_on;
  const auto finish_it = [&](const v1::VersionRequest&) -> Task<v1::VersionResponse> {
    begun = true;
    co_await go_on.wait();
    ended = true;
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
    context.set_deadline(std::chrono::system_clock::now() + 200ms);
    v1::VersionResponse response;
    const grpc::Status status = place.client()->Version(&context, {}, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_TRUE(begun);
  EXPECT_FALSE(ended);
  grpc::ClientContext context;
  v1::StopContainerResponse response;
  EXPECT_TRUE(place.client()->StopContainer(&context, {}, &response).ok());
  for (int i = 0; i < 500 && !ended; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(ended);
}

TEST(RpcServer, EndingTellsClientsOfRunningStreamsWithinTheGrace) {
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

// A call that needs longer than others, but not longer than the grace, gets its answer.
TEST(RpcServer, ARunningCallEndsWellWithinTheGraceAndNewOnesAreRefused) {
  Ring* ring = nullptr;
  std::atomic<bool> entered = false;
  Methods methods;
  methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(
                                [&](const v1::VersionRequest& request) {
                                  return slow_echo(*ring, entered, request);
                                }));
  Place place(std::move(methods));
  ring = &place.ring();
  const auto client = place.client();
  const auto late = place.client();
  std::string answer;
  grpc::Status status;
  std::thread caller([&] { status = ask(*client, "slow", &answer); });
  while (!entered) std::this_thread::sleep_for(1ms);
  std::thread ender([&] { place.end(); });
  std::this_thread::sleep_for(100ms);
  std::string none;
  EXPECT_EQ(ask(*late, "late", &none).error_code(), grpc::StatusCode::UNAVAILABLE);
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
