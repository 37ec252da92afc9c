// SPDX-License-Identifier: Apache-2.0
// Blobs by digest: <dir>/blobs/sha256/<hex>. A visible blob is complete and verified: its bytes are
// written to another file and hashed meanwhile, and the file gets its name only when digest and
// size are right and no other writer was first. <dir> is store::Layout::content().
//
// A blob is on disk after sync(); until then a power loss may leave wrong bytes under its name.
// Blobs that no image record names are removed at the next start (Puller::sweep), and an image's
// record is trusted after a power loss only if its blobs were synced.
//
// begin() writes to <dir>/ingest/<algorithm>-<hex>. A killed process leaves that file, the next
// begin() for the same digest continues it, and sweep_ingests() removes old ones. At most one such
// Ingest exists for a digest at a time; begin_unnamed() and put() have no such limit.
// Everything here blocks (disk): call it on an offload thread. Thread-safe.
//
// Errors: not_found, data_loss (wrong digest or size), resource_exhausted (disk full), else the
// errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/content/arrival.h"
#include "core/oci/digest.h"

namespace berth::image {

struct BlobInfo {
  oci::Digest digest;
  std::uint64_t size = 0;
};

// One blob that is being written. Destroyed without commit(), it removes its file.
class Ingest {
 public:
  Ingest(Ingest&&) noexcept = default;
  Ingest& operator=(Ingest&&) = delete;
  ~Ingest();

  // The number of bytes written; the next write continues there.
  std::uint64_t offset() const noexcept { return offset_; }
  // data_loss: more bytes than the announced size.
  Status write(const void* bytes, std::size_t size);
  // Discards all bytes.
  Status restart();
  // From now on announces to readers how far the file is written. The caller announces the end.
  Status announce(std::shared_ptr<Arrival> arrival);
  // Verifies size and digest and makes the blob visible. A blob that is visible already stays.
  // After data_loss, restart() or destroy.
  Status commit();

 private:
  friend class ContentStore;
  Ingest(int ingest_dir, int blob_dir, oci::Digest expected, std::uint64_t size);
  Status open_named();
  Status open_unnamed();
  Status adopt_partial();
  int place(const char* to) const;

  int ingest_dir_;  // borrowed from the store
  int blob_dir_;
  std::string name_;  // in ingest_dir_; empty: the file has none
  oci::Digest expected_;
  std::uint64_t expected_size_;
  UniqueFd file_;
  oci::Digester digester_;
  std::uint64_t offset_ = 0;
  std::shared_ptr<Arrival> arrival_;
};

class ContentStore {
 public:
  // Creates `dir` and its subdirectories if they are missing; the parent must exist.
  static Result<ContentStore> open(const std::string& dir);

  // Size of the blob; absent: nullopt.
  Result<std::optional<std::uint64_t>> size(const oci::Digest& digest) const;
  Result<UniqueFd> open_blob(const oci::Digest& digest) const;
  // The whole blob; resource_exhausted when larger than `size_max`.
  Result<std::string> read(const oci::Digest& digest, std::size_t size_max) const;

  // `size` is the announced size. Continues an earlier process' partial file.
  Result<Ingest> begin(const oci::Digest& expected, std::uint64_t size);
  // Starts empty and cannot be continued.
  Result<Ingest> begin_unnamed(const oci::Digest& expected, std::uint64_t size);
  // The whole blob at once, from memory. No effect if it is present.
  Status put(const oci::Digest& expected, std::string_view bytes);

  // Writes the blob and its directory entry to disk. Absent: not_found.
  Status sync(const oci::Digest& digest) const;
  // Absent: fine.
  Status remove(const oci::Digest& digest);
  Result<std::vector<BlobInfo>> list() const;
  // Removes partial files that were not written to for `age_s` seconds. No Ingest may exist.
  Status sweep_ingests(std::int64_t age_s);

 private:
  ContentStore(UniqueFd ingest, UniqueFd sha256, UniqueFd sha512);
  int blob_dir(const oci::Digest& digest) const;

  UniqueFd ingest_;
  UniqueFd sha256_;
  UniqueFd sha512_;
};

}  // namespace berth::image
