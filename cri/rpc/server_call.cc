// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/server_call.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <string>
#include <utility>

#include "core/base/units.h"
#include "cri/rpc/status.h"

namespace berth::rpc {
namespace {

// The response of ExecSync may contain two times 16 MiB of output.
constexpr std::size_t kMessageBytesMax = 40_MiB;

Error client_gone() {
  return make_error(Errc::cancelled, "the client is gone");
}

// The error text for "/runtime.v1.RuntimeService/Attach" and the like: a method of a known service
// is reported as not implemented, any other path as not existing.
std::string unknown_method(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return "no such method";
  const std::string method = path.substr(slash + 1);
  const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      path.substr(1, slash - 1));
  if (service == nullptr || service->FindMethodByName(method) == nullptr) {
    return "no such method: " + path.substr(0, 256);
  }
  return method + " is not implemented by berth yet";
}

Result<grpc::ByteBuffer> serialize(const google::protobuf::MessageLite& message) {
  if (message.ByteSizeLong() > kMessageBytesMax) {
    return make_error(Errc::resource_exhausted,
                      "the answer is larger than " + std::to_string(kMessageBytesMax) + " bytes");
  }
  grpc::ByteBuffer bytes;
  bool own_buffer = false;
  const grpc::Status status =
      grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::MessageLite>(
          message, &bytes, &own_buffer);
  if (!status.ok()) return make_error(Errc::internal, "serialize: " + status.error_message());
  return bytes;
}

}  // namespace

ServerCall::ServerCall(CallHost& host) : host_(host) {}

void ServerCall::accept(CallHost& host) {
  auto* call = new ServerCall(host);
  // Must be requested before the call begins; the tag is returned only if a call begins.
  call->context_.AsyncNotifyWhenDone(&call->call_ended_);
  host.service.RequestCall(&call->context_, &call->stream_, host.queue.get(), host.queue.get(),
                           &call->accepted_);
}

void ServerCall::release() {
  if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void ServerCall::accepted(bool ok) {
  if (!ok) {  // the server is shutting down
    delete this;
    return;
  }
  host_.on_taken();
  accept(host_);
  owners_ = 2;  // the handler (or its refusal), and call_ended_
  method_ = host_.methods.find(context_.method());
  stream_.Read(&received_, &first_read_);
}

// A call without a message is passed to its handler too: a streaming call may have none.
void ServerCall::first_read(bool ok) {
  // An unknown method is refused only after the first read: a response while the client is still
  // sending resets the stream, and the client may then see the reset instead of the status.
  if (method_ == nullptr) {
    finish({grpc::StatusCode::UNIMPLEMENTED, unknown_method(context_.method())});
    return;
  }
  received_any_ = ok;
  operation_ok_ = ok;
  host_.ring.post(begin_);
}

void ServerCall::operation_ended(bool ok) {
  operation_ok_ = ok;
  host_.ring.post(wake_);
}

void ServerCall::answered(bool /*ok*/) {
  release();
}

void ServerCall::call_ended(bool /*ok*/) {
  if (method_ != nullptr && method_->ends_with_client && context_.IsCancelled()) {
    host_.ring.post(disconnect_);  // client_disconnected() calls release()
  } else {
    release();
  }
}

void ServerCall::begin() {
  if (host_.on_call) host_.on_call();
  if (!host_.calls.spawn(handle())) {
    finish({grpc::StatusCode::UNAVAILABLE, "berthd is shutting down"});
  }
}

void ServerCall::client_disconnected() {
  client_disconnected_ = true;
  if (cancel_) cancel_->cancel();
  release();
}

Task<void> ServerCall::handle() {
  const TaskContext context = co_await this_task();
  cancel_.emplace(context.cancel);
  if (client_disconnected_) cancel_->cancel();
  Result<void> outcome = co_await under(*cancel_, method_->handler(*this)).result();
  cancel_.reset();  // on the loop, because it is linked into the loop's lists
  finish(outcome.ok() ? grpc::Status::OK : to_grpc(outcome.error()));
}

void ServerCall::finish(const grpc::Status& status) {
  if (status.ok() && last_) {
    stream_.WriteAndFinish(*last_, {}, status, &answered_);
  } else {
    stream_.Finish(status, &answered_);
  }
}

Task<void> ServerCall::operation() {
  Result<void> ended = co_await operation_ended_event_.wait().result();
  if (!ended.ok()) {
    context_.TryCancel();
    co_await shield(operation_ended_event_.wait());
    co_await std::move(ended);
  }
}

Task<bool> ServerCall::read(google::protobuf::MessageLite& into) {
  if (!received_any_ && operation_ok_) {
    operation_ended_event_.reset();
    stream_.Read(&received_, &operation_ended_);
    co_await operation();
    received_any_ = operation_ok_;
  }
  // A failed read means either that the client has sent everything or that it has disconnected.
  if (!received_any_ && context_.IsCancelled()) co_await fail(client_gone());
  if (!received_any_) co_return false;
  received_any_ = false;
  grpc::ProtoBufferReader reader(&received_);
  const bool parsed = into.ParseFromZeroCopyStream(&reader) && reader.status().ok();
  received_.Clear();
  if (!parsed) {
    co_await fail(Errc::invalid_argument, "the request is not a " + into.GetTypeName());
  }
  co_return true;
}

Task<void> ServerCall::write(const google::protobuf::MessageLite& message) {
  const grpc::ByteBuffer bytes = co_await serialize(message);
  operation_ended_event_.reset();
  stream_.Write(bytes, &operation_ended_);
  co_await operation();
  if (!operation_ok_) co_await fail(client_gone());
}

Status ServerCall::write_last(const google::protobuf::MessageLite& message) {
  TRY(last_, serialize(message));
  return {};
}

}  // namespace berth::rpc
