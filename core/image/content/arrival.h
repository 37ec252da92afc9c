// SPDX-License-Identifier: Apache-2.0
// A blob that is read while it arrives. The fetcher announces how far the file is written; readers
// follow through the page cache. So a layer is unpacked while it arrives, a slow reader delays
// neither the fetch nor other readers, and no extra buffer is needed.
//
//   fetcher:  opened(file, offset)
//             advanced(offset)...     or restarted(): the bytes so far are wrong
//             ended(Status)
//   reader:   ArrivingSource source(arrival, name, stop);
//
// A reader gets bytes before they are verified, so nothing may become visible before the source
// ends, which it does only when the blob is verified. An error in the bytes may be the sender's and
// not the blob's. Thread-safe.
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
  // For the fetcher. `file` is duplicated; it has `offset` bytes of an earlier attempt.
  Status opened(int file, std::uint64_t offset);
  void advanced(std::uint64_t offset);
  void restarted();
  // Call once, last.
  void ended(Status outcome);

  // The blob is verified and the fetch never restarted, so every byte that was read is right.
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

// Errors: aborted when the fetch failed or restarted (the fetcher's own error gives the reason):
// read the complete blob instead, if there is one. cancelled by `stop`.
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
  int file_ = -1;  // owned by the Arrival
  unsigned restarts_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace berth::image
