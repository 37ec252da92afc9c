// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/server.h"

#include <errno.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/base/units.h"
#include "core/linux/short_slice.h"
#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "cri/rpc/metered_sockets.h"
#include "cri/rpc/server_call.h"

namespace berth::rpc {
namespace {

// Far above the largest request of a kubelet.
constexpr int kRequestBytesMax = 16 * 1024 * 1024;
// The limit of concurrent calls on one connection. gRPC clients queue further calls.
constexpr int kCallsMax = 1000;
constexpr int kThreadsMax = 8;
// The quota for the memory that gRPC accounts to its connections, mostly requests being received.
// Above it gRPC accepts no more connections and ends streams.
constexpr std::size_t kMemoryMax = 256_MiB;
constexpr int kHeaderBytesMax = 8192;
constexpr std::int64_t kFlushMs = 250;

}  // namespace

class Server::Impl {
 public:
  Impl(ServerParts parts, std::string path)
      : sockets_(std::move(parts.on_refused)),
        host_{parts.ring,
              parts.calls,
              parts.methods,
              std::move(parts.on_call),
              [this]() { sockets_.call_taken(); },
              {},
              nullptr},
        path_(std::move(path)) {}

  ~Impl() {
    if (server_ != nullptr) refuse_calls(0);
    if (host_.queue != nullptr) {
      host_.queue->Shutdown();
      if (thread_.joinable()) thread_.join();
      serve_queue();
    }
    ::unlink(path_.c_str());
  }

  Status start(const std::string& listen) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kRequestBytesMax);
    builder.SetMaxSendMessageSize(-1);  // ServerCall has its own limit with a clearer error
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kCallsMax);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kHeaderBytesMax);
    // Bandwidth probes cause an additional wake-up on both sides for each message and have no use
    // on a local socket.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    grpc::ResourceQuota quota("cri");
    quota.SetMaxThreads(kThreadsMax);
    quota.Resize(kMemoryMax);
    builder.SetResourceQuota(quota);
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials());
    builder.RegisterAsyncGenericService(&host_.service);
    host_.queue = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return make_error(Errc::unavailable,
                        "cannot listen on " + listen + ": is its directory there and writable?");
    }
    if (::chmod(path_.c_str(), 0660) != 0) return sys_error(errno, "chmod", path_);
    ServerCall::accept(host_);
    thread_ = std::thread([this]() {
      ::pthread_setname_np(::pthread_self(), "rpc");
      sys::ask_for_short_slices();
      serve_queue();
    });
    return {};
  }

  Task<void> shut_down(std::int64_t grace_ms) {
    // Handlers may wait for minutes, as StopContainer does, and are cancelled after the grace
    // period. Their progress is recorded, so the next start of the agent can continue.
    const Deadline grace = Deadline::after_ms(grace_ms);
    static_cast<void>(co_await with_deadline(host_.ring, grace, host_.calls.close()).result());
    // The loop keeps running and refuses new calls until gRPC does so. The shutdown has a thread of
    // its own, so that a blocked offload thread cannot delay the end of the process.
    OffloadPool pool(host_.ring, 1);
    auto refuse = [this]() -> Status {
      refuse_calls(kFlushMs);
      return {};
    };
    co_await offload(pool, std::move(refuse));
  }

 private:
  // gRPC also waits until its clients have disconnected, and an idle client may not read its socket
  // before its next call. `flush_ms` is the time for responses that are being sent; after it, gRPC
  // closes the remaining connections.
  void refuse_calls(std::int64_t flush_ms) {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(flush_ms));
    server_->Wait();
  }

  void serve_queue() {
    void* tag = nullptr;
    bool ok = false;
    while (host_.queue->Next(&tag, &ok)) {
      const Tag& ended = *static_cast<Tag*>(tag);
      (ended.call.*ended.ended)(ok);
    }
  }

  MeteredSockets sockets_;
  CallHost host_;
  std::string path_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerParts parts, const std::string& listen) {
  std::string path = listen.substr(sizeof "unix://" - 1);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys_error(errno, "unlink", path);
  auto impl = std::make_unique<Impl>(std::move(parts), std::move(path));
  TRY_(impl->start(listen));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Task<void> Server::shut_down(std::int64_t grace_ms) {
  return impl_->shut_down(grace_ms);
}

}  // namespace berth::rpc
