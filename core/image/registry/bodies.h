// SPDX-License-Identifier: Apache-2.0
// Where the registry client puts what it asks for: documents into memory, blobs into somebody's
// sink. They outlive the exchange that fails, so that the next one goes on. Private to this room.
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
  // Bytes that need not come again: the next request asks for what follows.
  virtual std::uint64_t offset() const { return 0; }
  // After a 2xx exchange that ended well: is this what was asked for? data_loss otherwise.
  virtual Status verify(const HttpResponse& response) = 0;
  // The error is not the server's but the caller's own: nobody else needs to be asked.
  virtual bool given_up() const { return false; }
  // The next request must not ask for a range.
  virtual bool without_range() const { return true; }
  virtual void refuse_range() {}
};

// An answer whose body says nothing.
class AnyBody final : public RegistryBody {
 public:
  Result<Took> write(std::string_view) override { return Took::all; }
  Status verify(const HttpResponse&) override { return {}; }
};

struct RemoteDocument {
  oci::Digest digest;      // of HEAD: empty when the registry did not tell
  std::string media_type;  // Content-Type without parameters
  std::string bytes;       // of GET; their digest is `digest`
};

class DocumentBody final : public RegistryBody {
 public:
  // `wanted`: what the bytes must be; empty: what the registry says they are.
  explicit DocumentBody(oci::Digest wanted, std::size_t size_max = oci::kDocumentSizeMax)
      : wanted_(std::move(wanted)), size_max_(size_max) {}

  Status begin(const HttpResponse& response) override;
  Result<Took> write(std::string_view bytes) override;
  Status verify(const HttpResponse& response) override;
  // Of HEAD there are no bytes to check.
  void only_head() { only_head_ = true; }
  RemoteDocument& document() { return document_; }

 private:
  oci::Digest wanted_;
  std::size_t size_max_;
  bool only_head_ = false;
  RemoteDocument document_;
};

// Bytes [offset, size) of a blob into `sink`, in order and once, from however many exchanges.
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
  std::uint64_t skip_ = 0;  // bytes that a server sends again although we have them
  std::uint64_t transferred_ = 0;
  bool range_refused_ = false;
  bool given_up_ = false;
  DownloadSink& sink_;
};

}  // namespace berth::image
