// SPDX-License-Identifier: Apache-2.0
// A blob on its way in, seen by those who read it meanwhile: the one who fetches says how far the
// file is, readers follow behind it through the page cache. So a layer is unpacked while it comes,
// a slow reader holds nobody up, and memory is nobody's buffer.
//
//   fetcher: opened(file, bytes that are there) -> advanced(offset)... -> ended(Status)
//                                                     |-> restarted()    what was there is wrong
//   reader:  ArrivingSource source(arrival, stop);   its end is told only once the blob is verified
//
// Whoever reads sees bytes before they are verified: nothing may show before the end of the source,
// and an error found in them may be the sender's and not the blob's. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "core/base/unique_fd.h"
#include "core/image/content/byte_source.h"

namespace berth::image {

class Arrival {
 public:
  // The fetcher's. `file` is duplicated; `offset` bytes of an earlier attempt are in it.
  Status opened(int file, std::uint64_t offset);
  void advanced(std::uint64_t offset);
  void restarted();
  // Once; nothing follows it.
  void ended(Status outcome);

  // What anybody read of it was the blob: it is verified, and none of it was taken back.
  bool was_right();

 private:
  friend class ArrivingSource;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  UniqueFd file_;
  std::uint64_t offset_ = 0;
  unsigned restarts_ = 0;
  std::optional<Status> outcome_;
};

// Errors: aborted when the fetch failed or began anew, whatever the reason (the fetcher tells it
// better): read again from the finished blob, or not at all. cancelled by `stop`.
class ArrivingSource final : public ByteSource {
 public:
  ArrivingSource(std::shared_ptr<Arrival> arrival, std::string name, std::stop_token stop)
      : arrival_(std::move(arrival)), name_(std::move(name)), stop_(std::move(stop)) {}
  // Waits for at least one byte, or the end.
  Result<std::size_t> read(char* out, std::size_t size) override;

 private:
  Result<std::uint64_t> wait_for_more();

  std::shared_ptr<Arrival> arrival_;
  std::string name_;
  std::stop_token stop_;
  int file_ = -1;  // the Arrival's
  unsigned restarts_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace berth::image
