// SPDX-License-Identifier: Apache-2.0
#include "core/image/transfer/fetch.h"

#include <utility>

#include "core/image/http/byte_channel.h"
#include "core/task/both.h"

namespace berth::image {
namespace {

// Blocks.
Result<std::optional<Ingest>> begin(ContentStore& content, const oci::Descriptor& blob,
                                    std::shared_ptr<Arrival> arrival) {
  TRY(const std::optional<std::uint64_t> present, content.size(blob.digest));
  if (present.has_value() && *present != blob.size) {
    return make_error(Errc::data_loss, "blob " + blob.digest.text() + ": has " +
                                           std::to_string(*present) + " bytes, the manifest says " +
                                           std::to_string(blob.size));
  }
  if (present.has_value()) {
    if (arrival == nullptr) return std::optional<Ingest>();
    TRY(const UniqueFd file, content.open_blob(blob.digest));
    TRY_(arrival->opened(file.get(), blob.size));
    return std::optional<Ingest>();
  }
  TRY(Ingest ingest, content.begin(blob.digest, blob.size));
  if (arrival != nullptr) TRY_(ingest.announce(std::move(arrival)));
  return std::optional<Ingest>(std::move(ingest));
}

// Blocks.
Status drain(ByteChannel& channel, Ingest& ingest, std::atomic<std::uint64_t>& fetched) {
  while (true) {
    const std::string_view piece = channel.next();
    if (piece.empty()) return {};
    Status written = ingest.write(piece.data(), piece.size());
    if (!written.ok()) {
      channel.fail(written.error());
      return written;
    }
    channel.consumed(piece.size());
    fetched = ingest.offset();
  }
}

Task<void> bring(RegistrySession& session, oci::Descriptor blob, std::uint64_t offset,
                 ByteChannel& channel, std::atomic<std::uint64_t>& transferred) {
  Result<std::uint64_t> brought =
      co_await session.get_blob(std::move(blob), offset, channel).result();
  channel.end();
  if (brought.ok()) transferred += *brought;
  co_await std::move(brought);
}

Task<void> transfer(OffloadPool& pool, RegistrySession& session, const oci::Descriptor& blob,
                    Ingest& ingest, std::atomic<std::uint64_t>& fetched,
                    std::atomic<std::uint64_t>& transferred) {
  ByteChannel channel(kFetchBuffer);
  const auto drain_it = [&channel, &ingest, &fetched] { return drain(channel, ingest, fetched); };
  const auto on_thread = [&pool, &drain_it]() -> Task<void> { co_await offload(pool, drain_it); };
  std::pair<Result<void>, Result<void>> outcomes =
      co_await both(bring(session, blob, ingest.offset(), channel, transferred), on_thread());
  // The writer's error is the cause of the transfer's.
  if (!outcomes.second.ok()) co_await std::move(outcomes.second);
  co_await std::move(outcomes.first);
}

// From the ingest's present bytes to a committed blob.
Task<void> complete(OffloadPool& pool, RegistrySession& session, const oci::Descriptor& blob,
                    Ingest& ingest, std::atomic<std::uint64_t>& fetched,
                    std::atomic<std::uint64_t>& transferred) {
  bool continued = ingest.offset() > 0;
  fetched = ingest.offset();
  while (true) {
    co_await transfer(pool, session, blob, ingest, fetched, transferred);
    const auto commit_it = [&ingest] { return ingest.commit(); };
    Result<void> committed = co_await offload(pool, commit_it).result();
    if (committed.ok()) co_return;
    // The partial file of an earlier process may be wrong although the new bytes are right.
    const bool wrong = committed.error().is(Errc::data_loss);
    const bool others = wrong && (session.reject(blob.digest) || continued);
    if (!others) co_await std::move(committed);
    continued = false;
    const auto restart_it = [&ingest] { return ingest.restart(); };
    co_await offload(pool, restart_it);
    fetched = 0;
  }
}

// The last close of a large file frees its blocks, which takes time, and a reader on any thread may
// hold the last descriptor. So free the blocks here first.
Task<void> drop(OffloadPool& pool, std::optional<Ingest>& ingest) {
  const auto drop_it = [&ingest] {
    Status emptied = ingest->restart();
    ingest.reset();
    return emptied;
  };
  co_await offload(pool, drop_it);
}

}  // namespace

Task<void> fetch_blob(OffloadPool& pool, RegistrySession& session, ContentStore& content,
                      oci::Descriptor blob, std::shared_ptr<Arrival> arrival,
                      std::atomic<std::uint64_t>& fetched,
                      std::atomic<std::uint64_t>& transferred) {
  const auto begin_it = [&content, &blob, &arrival] { return begin(content, blob, arrival); };
  std::optional<Ingest> ingest = co_await offload(pool, begin_it);
  if (!ingest.has_value()) {
    fetched = blob.size;
    co_return;
  }
  Result<void> outcome =
      co_await complete(pool, session, blob, *ingest, fetched, transferred).result();
  if (!outcome.ok()) {
    Result<void> dropped = co_await shield(drop(pool, ingest)).result();
    if (!dropped.ok()) outcome = std::move(outcome).error().with(dropped.error().message());
  }
  co_await std::move(outcome);
}

}  // namespace berth::image
