// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/cli/fake_images.h"

#include <algorithm>

namespace berth::test {

using Lock = std::lock_guard<std::mutex>;

grpc::Status FakeImages::Pull(Context*, const berth::v1::PullRequest* request,
                              grpc::ServerWriter<berth::v1::PullEvent>* writer) {
  const Lock lock(mutex_);
  pull_request_ = *request;
  for (const berth::v1::PullEvent& event : script_.pull) writer->Write(event);
  if (!script_.pull_status.ok()) return script_.pull_status;
  berth::v1::PullEvent last;
  *last.mutable_done() = script_.pulled;
  writer->Write(last);
  return grpc::Status::OK;
}

grpc::Status FakeImages::Save(Context*, const berth::v1::SaveRequest* request,
                              grpc::ServerWriter<berth::v1::Chunk>* writer) {
  const Lock lock(mutex_);
  save_request_ = *request;
  berth::v1::Chunk chunk;
  for (std::size_t at = 0; at < script_.archive.size(); at += 1000) {
    chunk.set_data(script_.archive.substr(at, 1000));
    writer->Write(chunk);
  }
  return script_.save_status;
}

grpc::Status FakeImages::Load(Context*, grpc::ServerReader<berth::v1::Chunk>* reader,
                              berth::v1::LoadResponse* response) {
  const Lock lock(mutex_);
  berth::v1::Chunk chunk;
  while (reader->Read(&chunk)) received_ += chunk.data();
  *response = script_.loaded;
  return script_.load_status;
}

grpc::Status FakeImages::Tag(Context*, const berth::v1::TagRequest* request,
                             berth::v1::TagResponse* response) {
  const Lock lock(mutex_);
  tag_request_ = *request;
  response->set_image_id("sha256:" + std::string(64, 'a'));
  return grpc::Status::OK;
}

grpc::Status FakeImages::Pin(Context*, const berth::v1::PinRequest* request,
                             berth::v1::PinResponse* response) {
  const Lock lock(mutex_);
  pin_request_ = *request;
  response->set_image_id("sha256:" + std::string(64, 'b'));
  return grpc::Status::OK;
}

grpc::Status FakeImages::Prune(Context*, const berth::v1::PruneRequest* request,
                               berth::v1::PruneResponse* response) {
  const Lock lock(mutex_);
  prune_request_ = *request;
  *response = script_.pruned;
  return grpc::Status::OK;
}

}  // namespace berth::test
