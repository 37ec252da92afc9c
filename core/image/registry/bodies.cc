// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/bodies.h"

#include <algorithm>

namespace berth::image {

Status DocumentBody::begin(const HttpResponse&) {
  document_.bytes.clear();
  return {};
}

Result<DownloadSink::Took> DocumentBody::write(std::string_view bytes) {
  if (document_.bytes.size() + bytes.size() > size_max_) {
    return make_error(Errc::invalid_argument,
                      "the document is larger than " + std::to_string(size_max_) + " bytes");
  }
  document_.bytes.append(bytes);
  return Took::all;
}

// A document requested by digest must have that digest; one requested by tag, the digest in the
// registry's header, if it sends one.
Status DocumentBody::verify(const HttpResponse& response) {
  if (const std::string* type = response.header("content-type")) {
    document_.media_type = type->substr(0, type->find(';'));
  }
  oci::Digest wanted = wanted_;
  const std::string* told = response.header("docker-content-digest");
  if (wanted.empty() && told != nullptr && !told->empty()) {
    TRY(wanted, oci::Digest::parse(*told));
  }
  document_.digest = wanted;
  if (only_head_) return {};
  document_.digest = oci::digest_of(document_.bytes, wanted.algorithm());
  if (wanted.empty() || document_.digest == wanted) return {};
  return make_error(Errc::data_loss, "the document has digest " + document_.digest.text() +
                                         " instead of " + wanted.text());
}

BlobBody::BlobBody(const oci::Descriptor& blob, std::uint64_t offset, DownloadSink& sink)
    : size_(blob.size), offset_(offset), sink_(sink) {
  sink_.attach([this] { resume(); });
}

BlobBody::~BlobBody() {
  sink_.detach();
}

Status BlobBody::begin(const HttpResponse& response) {
  skip_ = 0;
  if (response.status != 206) {
    skip_ = offset_;  // the server ignored the range and sends everything
    return {};
  }
  const std::string* range = response.header("content-range");
  const std::string wanted = "bytes " + std::to_string(offset_) + "-";
  if (range != nullptr && range->starts_with(wanted)) return {};
  return make_error(Errc::data_loss, "the server sent another range than asked for");
}

Result<DownloadSink::Took> BlobBody::write(std::string_view bytes) {
  const std::uint64_t skipped = std::min<std::uint64_t>(skip_, bytes.size());
  const std::string_view fresh = bytes.substr(skipped);
  if (fresh.size() > size_ - offset_) {
    return make_error(Errc::data_loss,
                      "more than the announced " + std::to_string(size_) + " bytes");
  }
  if (!fresh.empty()) {
    Result<Took> took = sink_.write(fresh);
    given_up_ = !took.ok();
    if (!took.ok() || *took == Took::none) return took;
  }
  skip_ -= skipped;
  offset_ += fresh.size();
  transferred_ += bytes.size();
  return Took::all;
}

Status BlobBody::verify(const HttpResponse&) {
  if (offset_ == size_) return {};
  return make_error(Errc::data_loss, std::to_string(offset_) + " bytes instead of the announced " +
                                         std::to_string(size_));
}

}  // namespace berth::image
