// SPDX-License-Identifier: Apache-2.0
// From gRPC's threads to the loop and back. A call arrives on a thread of gRPC's, is posted to the
// ring, runs there as a task of the service's scope, and its reactor is finished from there. A
// client that goes away does not end the task: what it began either completes or is joined by the
// retry.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "cri/status.h"

namespace berth::cri {

// Request, response and reactor belong to gRPC and live until Finish.
template <typename Response>
Task<void> finish_unary(Task<Response> work, Response* response,
                        grpc::ServerUnaryReactor* reactor) {
  Result<Response> outcome = co_await std::move(work).result();
  if (outcome.ok()) {
    response->Swap(&*outcome);
    reactor->Finish(grpc::Status::OK);
  } else {
    reactor->Finish(to_grpc(outcome.error()));
  }
}

inline grpc::Status refusal(const char* rpc) {
  return {grpc::StatusCode::UNIMPLEMENTED, std::string(rpc) + " is not implemented by berth yet"};
}

// A streaming call that is refused: finished at once, freed when gRPC is done with it.
template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const char* rpc) { this->Finish(refusal(rpc)); }
  void OnDone() override { delete this; }
};

}  // namespace berth::cri
