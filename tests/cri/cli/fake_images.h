// SPDX-License-Identifier: Apache-2.0
// A fake berth.v1.Images in the test process. It returns prepared responses and records the
// requests.
#pragma once

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <string>
#include <vector>

#include "cri/proto/berth/images.grpc.pb.h"

namespace berth::test {

struct ImagesScript {
  std::vector<berth::v1::PullEvent> pull;  // all events but the last
  berth::v1::PullDone pulled;
  grpc::Status pull_status;
  std::string archive;  // sent by Save
  grpc::Status save_status;
  berth::v1::LoadResponse loaded;
  grpc::Status load_status;
  berth::v1::PruneResponse pruned;
};

class FakeImages final : public berth::v1::Images::Service {
 public:
  explicit FakeImages(ImagesScript script) : script_(std::move(script)) {}

  std::string received() const { return locked(received_); }
  berth::v1::SaveRequest save_request() const { return locked(save_request_); }
  berth::v1::TagRequest tag_request() const { return locked(tag_request_); }
  berth::v1::PinRequest pin_request() const { return locked(pin_request_); }
  berth::v1::PruneRequest prune_request() const { return locked(prune_request_); }
  berth::v1::PullRequest pull_request() const { return locked(pull_request_); }

 private:
  using Context = grpc::ServerContext;

  grpc::Status Pull(Context*, const berth::v1::PullRequest* request,
                    grpc::ServerWriter<berth::v1::PullEvent>* writer) override;
  grpc::Status Save(Context*, const berth::v1::SaveRequest* request,
                    grpc::ServerWriter<berth::v1::Chunk>* writer) override;
  grpc::Status Load(Context*, grpc::ServerReader<berth::v1::Chunk>* reader,
                    berth::v1::LoadResponse* response) override;
  grpc::Status Tag(Context*, const berth::v1::TagRequest* request,
                   berth::v1::TagResponse* response) override;
  grpc::Status Pin(Context*, const berth::v1::PinRequest* request,
                   berth::v1::PinResponse* response) override;
  grpc::Status Prune(Context*, const berth::v1::PruneRequest* request,
                     berth::v1::PruneResponse* response) override;

  template <typename T>
  T locked(const T& value) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value;
  }

  ImagesScript script_;
  mutable std::mutex mutex_;
  std::string received_;
  berth::v1::SaveRequest save_request_;
  berth::v1::TagRequest tag_request_;
  berth::v1::PinRequest pin_request_;
  berth::v1::PruneRequest prune_request_;
  berth::v1::PullRequest pull_request_;
};

}  // namespace berth::test
