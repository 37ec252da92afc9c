// SPDX-License-Identifier: Apache-2.0
// Blobs by digest: <dir>/blobs/sha256/<hex>. A blob that is there is whole and verified: bytes
// arrive in another file, are hashed on the way, and the file gets its place only when digest and
// size are right and nobody was quicker. <dir> is store::Layout::content().
//
// A blob is on disk when sync() has said so; until then a power loss may leave another file of its
// name. What no image record needs is removed at the next start (Puller::sweep), so a record is
// what makes a blob trusted, and it is written behind sync().
//
// Bytes that may have to be continued arrive in <dir>/ingest/<algorithm>-<hex>: a process killed
// during an ingest leaves it, the next begin() for the same digest goes on there, sweep_ingests()
// removes what nobody continues. The caller has at most one such Ingest for a digest at a time.
// Everybody else takes begin_unnamed() or put(), beside that one and beside each other.
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

// One blob on its way in. Destroyed without commit(), it removes its file.
class Ingest {
 public:
  Ingest(Ingest&&) noexcept = default;
  Ingest& operator=(Ingest&&) = delete;
  ~Ingest();

  // Bytes that are there: the next write continues behind them.
  std::uint64_t offset() const noexcept { return offset_; }
  // More bytes than the announced size are data_loss at once.
  Status write(const void* bytes, std::size_t size);
  // Forgets what is there.
  Status restart();
  // Tells readers how far the file is, from now on. Not its end: the caller knows the outcome.
  Status announce(std::shared_ptr<Arrival> arrival);
  // Verifies size and digest and makes the blob visible; somebody else's that is visible already
  // stays, and is as good. After data_loss, restart() or destroy.
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
  // Makes `dir` and what is below it when missing; its parent must exist.
  static Result<ContentStore> open(const std::string& dir);

  // Size of the blob; absent: nullopt.
  Result<std::optional<std::uint64_t>> size(const oci::Digest& digest) const;
  Result<UniqueFd> open_blob(const oci::Digest& digest) const;
  // The whole blob; resource_exhausted when larger than `size_max`.
  Result<std::string> read(const oci::Digest& digest, std::size_t size_max) const;

  // `size` is the announced size. Continues what an earlier process left.
  Result<Ingest> begin(const oci::Digest& expected, std::uint64_t size);
  // Begins with nothing, and nobody will continue it.
  Result<Ingest> begin_unnamed(const oci::Digest& expected, std::uint64_t size);
  // All at once, for documents that are in memory. Present already: nothing is done.
  Status put(const oci::Digest& expected, std::string_view bytes);

  // Puts the blob, and that it is there, on disk. Absent: not_found.
  Status sync(const oci::Digest& digest) const;
  // Absent: fine.
  Status remove(const oci::Digest& digest);
  Result<std::vector<BlobInfo>> list() const;
  // Removes partial files that nothing was written to for `age_s` seconds. Nothing may be arriving.
  Status sweep_ingests(std::int64_t age_s);

 private:
  ContentStore(UniqueFd ingest, UniqueFd sha256, UniqueFd sha512);
  int blob_dir(const oci::Digest& digest) const;

  UniqueFd ingest_;
  UniqueFd sha256_;
  UniqueFd sha512_;
};

}  // namespace berth::image
