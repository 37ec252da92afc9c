// SPDX-License-Identifier: Apache-2.0
// One call, shared by the loop and the thread that waits for gRPC's completion queue.
//
// Order of events: accept() offers the object to gRPC; a call of a client is assigned to it; its
// first message is read; it is posted to the loop, where the handler runs; finish() sends the
// response. It has two owners, and the last of them frees it: the handler until its response is
// sent, and gRPC's tag for the end of the call.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "core/ring/post.h"
#include "core/ring/ring.h"
#include "core/task/cancel.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "cri/rpc/call.h"
#include "cri/rpc/methods.h"

namespace berth::rpc {

class ServerCall;

// A tag of gRPC's completion queue: the call and the function that handles the ended operation.
struct Tag {
  ServerCall& call;
  void (ServerCall::*ended)(bool ok);
};

// The state that all calls of a server share.
struct CallHost {
  Ring& ring;
  Scope& calls;
  const Methods& methods;
  std::function<void()> on_call;
  std::function<void()> on_taken;  // on the queue's thread, for each call that begins
  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
};

class ServerCall final : public Call {
 public:
  // Offers a new object to gRPC for the next call. The object frees itself.
  static void accept(CallHost& host);

  Task<bool> read(google::protobuf::MessageLite& into) override;
  Task<void> write(const google::protobuf::MessageLite& message) override;
  Status write_last(const google::protobuf::MessageLite& message) override;

 private:
  // Runs one member function of the call on the loop.
  struct Step final : public PostNode {
    Step(ServerCall& of, void (ServerCall::*what)()) : call(of), step(what) {}
    void run() noexcept override { (call.*step)(); }
    ServerCall& call;
    void (ServerCall::*step)();
  };

  explicit ServerCall(CallHost& host);
  ~ServerCall() = default;
  void release();

  // On the queue's thread.
  void accepted(bool ok);
  void first_read(bool ok);
  void operation_ended(bool ok);
  void answered(bool ok);
  void call_ended(bool ok);

  // On the loop.
  void begin();
  void wake_handler() { operation_ended_event_.set(); }
  void client_disconnected();
  Task<void> handle();
  // Waits for the running read or write, also when cancelled, because gRPC still uses its memory.
  Task<void> operation();
  // The last use of the object on the loop: another thread may free it at once.
  void finish(const grpc::Status& status);

  CallHost& host_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  const Method* method_ = nullptr;
  std::atomic<int> owners_{0};

  Tag accepted_{*this, &ServerCall::accepted};
  Tag first_read_{*this, &ServerCall::first_read};
  Tag operation_ended_{*this, &ServerCall::operation_ended};
  Tag answered_{*this, &ServerCall::answered};
  Tag call_ended_{*this, &ServerCall::call_ended};
  Step begin_{*this, &ServerCall::begin};
  Step wake_{*this, &ServerCall::wake_handler};
  Step disconnect_{*this, &ServerCall::client_disconnected};

  grpc::ByteBuffer received_;
  bool received_any_ = false;  // received_ holds a message that the handler has not read
  std::optional<grpc::ByteBuffer> last_;
  bool client_disconnected_ = false;
  std::optional<CancelContext> cancel_;  // set while the handler runs
  Event operation_ended_event_;          // the running read or write has ended
  bool operation_ok_ = false;            // written before wake_ is posted
};

}  // namespace berth::rpc
