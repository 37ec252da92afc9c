// SPDX-License-Identifier: Apache-2.0
// A gRPC server on its own loop in the test process, and clients for it. The messages are those of
// the CRI; the handlers are defined by the tests.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/task/event.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/rpc/server.h"
#include "tests/support/temporary_dir.h"

namespace berth::rpc {

namespace v1 = runtime::v1;

constexpr const char* kVersionPath = "/runtime.v1.RuntimeService/Version";

// An event that one thread sets once and another thread waits for.
class OneShotEvent {
 public:
  void set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_set_ = true;
    changed_.notify_all();
  }
  // False: the event was not set within twenty seconds.
  bool wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [this]() { return is_set_; });
  }
  bool is_set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return is_set_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_set_ = false;
};

// Runs a server with `methods` on a loop on its own thread.
class Place {
 public:
  explicit Place(Methods methods) : methods_(std::move(methods)) {
    loop_ = std::thread([this]() {
      const bool started = start();
      up_.set();
      if (started) serve();
    });
    EXPECT_TRUE(up_.wait());
  }
  ~Place() { end(); }

  void end() {
    if (!loop_.joinable()) return;
    set(ending_);
    loop_.join();
  }

  std::string path() const { return directory_ / "s.sock"; }
  std::string endpoint() const { return "unix://" + path(); }
  std::unique_ptr<v1::RuntimeService::Stub> client() const {
    // Channels with equal arguments share a connection; this argument gives each client its own.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::RuntimeService::NewStub(
        grpc::CreateCustomChannel(endpoint(), grpc::InsecureChannelCredentials(), arguments));
  }

  Ring& ring() { return *ring_; }
  // Sets an event of the loop from another thread.
  void set(Event& event) {
    ring_->post([&event]() { event.set(); });
  }
  // The reasons that the server reported for closed connections, one per line.
  std::string refusals() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return refusals_;
  }

  std::atomic<int> calls = 0;
  std::int64_t grace_ms = 5'000;

 private:
  bool start() {
    Result<std::unique_ptr<Ring>> ring = Ring::create();
    EXPECT_TRUE(ring.ok()) << ring.error().message();
    if (!ring.ok()) return false;
    ring_ = std::move(*ring);
    scope_.emplace(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
    ServerParts parts{*ring_, *scope_, methods_, [this]() { ++calls; },
                      [this](const std::string& why) { note_refusal(why); }};
    Result<std::unique_ptr<Server>> server = Server::start(std::move(parts), endpoint());
    EXPECT_TRUE(server.ok()) << server.error().message();
    if (!server.ok()) return false;
    server_ = std::move(*server);
    return true;
  }
  void serve() {
    const Status ended = ring_->run_until(serve_until_end());
    EXPECT_TRUE(ended.ok());
    server_.reset();
    scope_.reset();
    ring_.reset();
  }
  void note_refusal(const std::string& why) {
    const std::lock_guard<std::mutex> lock(mutex_);
    refusals_ += why + "\n";
  }
  Task<void> serve_until_end() {
    co_await ending_.wait();
    co_await server_->shut_down(grace_ms);
  }

  Methods methods_;
  const TemporaryDir directory_;
  std::unique_ptr<Ring> ring_;
  std::optional<Scope> scope_;
  std::unique_ptr<Server> server_;
  Event ending_;
  OneShotEvent up_;
  std::mutex mutex_;
  std::string refusals_;
  std::thread loop_;
};

// Returns the version of the request; fails for "bad".
inline Task<v1::VersionResponse> echo(const v1::VersionRequest& request) {
  if (request.version() == "bad") co_await fail(Errc::not_found, "version \"bad\": none\nsuch");
  v1::VersionResponse response;
  response.set_version(request.version());
  co_return response;
}

inline Methods echo_methods() {
  Methods methods;
  methods.add(kVersionPath, unary<v1::VersionRequest, v1::VersionResponse>(&echo));
  return methods;
}

inline grpc::Status ask(v1::RuntimeService::Stub& client, const std::string& text,
                        std::string* answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::VersionRequest request;
  request.set_version(text);
  v1::VersionResponse response;
  const grpc::Status status = client.Version(&context, request, &response);
  *answer = response.version();
  return status;
}

}  // namespace berth::rpc
