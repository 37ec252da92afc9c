// SPDX-License-Identifier: Apache-2.0
// Receivers of the bodies of answers: documents into memory, blobs into the caller's sink. A body
// outlives a failed exchange, so that the next one continues it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/image/http/call.h"
#include "core/image/http/download_sink.h"
#include "core/oci/image.h"

namespace berth::image {

class RegistryBody : public DownloadSink {
 public:
  // Bytes received so far: the next request asks for the rest.
  virtual std::uint64_t offset() const { return 0; }
  // Called after a complete 2xx exchange. data_loss: the bytes are not those requested.
  virtual Status verify(const HttpResponse& response) = 0;
  // The sink failed, so no other endpoint can help.
  virtual bool given_up() const { return false; }
  // The next request must not ask for a range.
  virtual bool without_range() const { return true; }
  virtual void refuse_range() {}
};

// Ignores the body.
class AnyBody final : public RegistryBody {
 public:
  Result<Took> write(std::string_view) override { return Took::all; }
  Status verify(const HttpResponse&) override { return {}; }
};

struct RemoteDocument {
  oci::Digest digest;      // after HEAD: empty if the registry sent none
  std::string media_type;  // Content-Type without parameters
  std::string bytes;       // after GET; their digest is `digest`
};

class DocumentBody final : public RegistryBody {
 public:
  // `wanted`: the digest that the bytes must have; empty: the digest that the registry sends.
  explicit DocumentBody(oci::Digest wanted, std::size_t size_max = oci::kDocumentSizeMax)
      : wanted_(std::move(wanted)), size_max_(size_max) {}

  Status begin(const HttpResponse& response) override;
  Result<Took> write(std::string_view bytes) override;
  Status verify(const HttpResponse& response) override;
  // After a HEAD there are no bytes to verify.
  void only_head() { only_head_ = true; }
  RemoteDocument& document() { return document_; }

 private:
  oci::Digest wanted_;
  std::size_t size_max_;
  bool only_head_ = false;
  RemoteDocument document_;
};

// Writes bytes [offset, size) of a blob to `sink`, in order and each once, over several exchanges.
class BlobBody final : public RegistryBody {
 public:
  BlobBody(const oci::Descriptor& blob, std::uint64_t offset, DownloadSink& sink);
  ~BlobBody() override;

  std::uint64_t offset() const override { return offset_; }
  Status begin(const HttpResponse& response) override;
  Result<Took> write(std::string_view bytes) override;
  Status verify(const HttpResponse& response) override;
  bool given_up() const override { return given_up_; }
  bool without_range() const override { return offset_ == 0 || range_refused_; }
  void refuse_range() override { range_refused_ = true; }
  std::uint64_t transferred() const { return transferred_; }

 private:
  const std::uint64_t size_;
  std::uint64_t offset_;
  std::uint64_t skip_ = 0;  // bytes that the server sends again
  std::uint64_t transferred_ = 0;
  bool range_refused_ = false;
  bool given_up_ = false;
  DownloadSink& sink_;
};

}  // namespace berth::image
