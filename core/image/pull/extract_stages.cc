// SPDX-License-Identifier: Apache-2.0
#include "core/image/pull/extract_stages.h"

#include <vector>

#include "core/base/units.h"

namespace berth::image {
namespace {

constexpr std::size_t kChunkSize = 256_KiB;
constexpr std::size_t kChunks = 8;
constexpr unsigned kUnpacker = 0;
constexpr unsigned kHasher = 1;

// A tar may end before its stream does; diff_id is the digest of the whole stream.
Status drain(ByteSource& source) {
  std::vector<char> rest(64_KiB);
  while (true) {
    TRY(const std::size_t got, source.read(rest.data(), rest.size()));
    if (got == 0) return {};
  }
}

}  // namespace

ExtractStages::ExtractStages(LayerStore& layers, const LayerTarget& target, const ExtractSpec& spec,
                             std::unique_ptr<ByteSource> compressed)
    : layers_(layers), target_(target), spec_(spec), compressed_(std::move(compressed)) {}

Status ExtractStages::check_diff_id(const oci::Digest& actual) const {
  if (actual == spec_.diff_id) return {};
  return make_error(Errc::data_loss, "layer " + spec_.blob.text() + ": inflates to " +
                                         actual.text() + ", the configuration says diff_id " +
                                         spec_.diff_id.text());
}

Result<ExtractedLayer> ExtractStages::run() {
  const std::string& name = spec_.blob.text();
  TRY(const std::unique_ptr<ByteSource> inflated, make_inflater(*compressed_, name, spec_.limits));
  DigestSource tar(*inflated, spec_.diff_id.algorithm());
  TRY(ExtractedLayer layer, layers_.extract(target_, name, tar));
  TRY_(drain(tar));
  TRY_(check_diff_id(tar.finish()));
  return layer;
}

// Chunks are filled completely, because each one wakes the other stages.
Status ExtractStages::inflate_all() {
  TRY(const std::unique_ptr<ByteSource> inflated,
      make_inflater(*compressed_, spec_.blob.text(), spec_.limits));
  while (true) {
    TRY(const InflateRing::Chunk chunk, ring_->acquire());
    std::size_t have = 0;
    std::size_t got = 1;
    while (have < chunk.size && got > 0) {
      TRY(got, inflated->read(chunk.bytes + have, chunk.size - have));
      have += got;
    }
    if (have > 0) ring_->publish(have);
    if (got == 0) return {};
  }
}

Status ExtractStages::hash_all() {
  oci::Digester digester(spec_.diff_id.algorithm());
  while (true) {
    TRY(const std::string_view bytes, ring_->peek(kHasher));
    if (bytes.empty()) return check_diff_id(digester.finish());
    digester.update(bytes.data(), bytes.size());
    ring_->take(kHasher, bytes.size());
  }
}

void ExtractStages::note(Status outcome, std::optional<Error>& failure) {
  if (outcome.ok()) return;
  failure = std::move(outcome).error();
  ring_->fail();
}

void ExtractStages::split() {
  ring_.emplace(kChunkSize, kChunks);
}

void ExtractStages::inflate() {
  note(inflate_all(), inflate_failure_);
  ring_->finish();
}

void ExtractStages::hash() {
  note(hash_all(), hash_failure_);
}

void ExtractStages::unpack() {
  InflateRingSource tar(*ring_, kUnpacker);
  Result<ExtractedLayer> layer = layers_.extract(target_, spec_.blob.text(), tar);
  if (layer.ok()) {
    extracted_ = *std::move(layer);
    ring_->leave(kUnpacker);
    return;
  }
  unpack_failure_ = std::move(layer).error();
  ring_->fail();
}

void ExtractStages::cancel() {
  cancelled_ = true;
  ring_->fail();
}

Result<ExtractedLayer> ExtractStages::outcome() {
  if (cancelled_) return make_error(Errc::cancelled, "cancelled");
  std::optional<Error>* const all[] = {&inflate_failure_, &unpack_failure_, &hash_failure_};
  for (std::optional<Error>* failure : all) {
    const bool of_itself = failure->has_value() && !(*failure)->is(Errc::aborted);
    if (of_itself) return **failure;
  }
  for (std::optional<Error>* failure : all) {
    if (failure->has_value()) return **failure;
  }
  return std::move(extracted_);
}

}  // namespace berth::image
