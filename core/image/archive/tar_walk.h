// SPDX-License-Identifier: Apache-2.0
// TarWalk: one pass over a tar archive from its beginning, by libarchive. The tar is plain or
// compressed as a whole with gzip, xz or zstd. Blocks. Private to this room.
//
// Order of calls: open(), then next() for each entry, and after it data() until it is empty, or
// pass(), or neither.
//
// Errors: invalid_argument (libarchive's text), data_loss (cut short within a member), cancelled.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

// invalid_argument: "archive: `what`".
Error bad_archive(const std::string& what);

class TarWalk {
 public:
  explicit TarWalk(std::stop_token stop);
  TarWalk(const TarWalk&) = delete;
  ~TarWalk();

  // `fd` is borrowed for the whole walk and can be seeked; its offset does not change.
  Status open(int fd);
  // Null at the end. Valid until the next call.
  Result<archive_entry*> next();
  // Empty at the end of the member. Valid until the next call.
  Result<std::string_view> data();
  // Of an archive that is compressed as a whole: passes over the member, which is inflated for it.
  // Of a plain one next() seeks over it for nothing. False: it has more than `size` bytes.
  Result<bool> pass(std::uint64_t size);

 private:
  Status check_stop() const;
  Status check(int code);
  static Result<bool> is_plain(int fd);
  Status check_there(archive_entry* entry);
  static la_ssize_t on_read(archive* reader, void* self, const void** bytes);
  static la_int64_t on_skip(archive* reader, void* self, la_int64_t wanted);

  archive* archive_;
  std::stop_token stop_;
  std::string buffer_;
  int fd_ = -1;
  bool plain_ = false;  // no compression around the tar
  std::uint64_t file_size_ = 0;
  std::uint64_t at_ = 0;  // in the file, and in what is added behind it
  std::string piece_;
};

}  // namespace berth::image
