// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/tar_walk.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/units.h"

namespace berth::image {

Error bad_archive(const std::string& what) {
  return make_error(Errc::invalid_argument, "archive: " + what);
}

TarWalk::TarWalk(std::stop_token stop) : archive_(archive_read_new()), stop_(std::move(stop)) {
  CHECK(archive_ != nullptr);
}

TarWalk::~TarWalk() {
  archive_read_free(archive_);
}

Status TarWalk::open(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return sys_error(errno, "fstat", "archive");
  fd_ = fd;
  file_size_ = static_cast<std::uint64_t>(file.st_size);
  TRY(plain_, is_plain(fd));
  archive_read_support_filter_gzip(archive_);
  archive_read_support_filter_xz(archive_);
  archive_read_support_filter_zstd(archive_);
  archive_read_support_format_tar(archive_);
  archive_read_support_format_empty(archive_);
  archive_read_set_callback_data(archive_, this);
  archive_read_set_read_callback(archive_, on_read);
  archive_read_set_skip_callback(archive_, on_skip);
  return check(archive_read_open1(archive_));
}

Result<archive_entry*> TarWalk::next() {
  TRY_(check_stop());
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_, &entry);
  if (code == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
  TRY_(check(code));
  TRY_(check_there(entry));
  return entry;
}

Result<std::string_view> TarWalk::data() {
  TRY_(check_stop());
  buffer_.resize(128_KiB);
  const la_ssize_t got = archive_read_data(archive_, buffer_.data(), buffer_.size());
  if (got < 0) TRY_(check(ARCHIVE_FATAL));
  return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
}

Result<bool> TarWalk::pass(std::uint64_t size) {
  if (plain_) return true;
  for (std::uint64_t passed = 0; passed <= size;) {
    TRY_(check_stop());
    const void* piece = nullptr;
    std::size_t bytes = 0;
    la_int64_t at = 0;
    const int code = archive_read_data_block(archive_, &piece, &bytes, &at);
    if (code == ARCHIVE_EOF) return true;
    TRY_(check(code));
    passed += bytes;
  }
  return false;
}

Status TarWalk::check_stop() const {
  if (stop_.stop_requested()) return make_error(Errc::cancelled, "archive: told to stop");
  return {};
}

Status TarWalk::check(int code) {
  if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return {};
  const char* text = archive_error_string(archive_);
  const std::string why = text == nullptr ? "cannot be read" : text;
  return bad_archive(why);
}

Result<bool> TarWalk::is_plain(int fd) {
  char head[6] = {};
  const ssize_t got = ::pread(fd, head, sizeof head, 0);
  if (got < 0) return sys_error(errno, "read", "archive");
  const std::string_view begin(head, static_cast<std::size_t>(got));
  return !begin.starts_with("\x1f\x8b") &&
         !begin.starts_with(
             "\xfd"
             "7zXZ") &&
         !begin.starts_with("\x28\xb5\x2f\xfd");
}

// on_read() adds the blocks that writers may omit at the end of a plain tar, so libarchive does not
// notice a truncated member; this check does. The size of a sparse member is not its stored size.
Status TarWalk::check_there(archive_entry* entry) {
  const std::int64_t size = archive_entry_size(entry);
  if (!plain_ || archive_entry_sparse_count(entry) > 0 || size <= 0) return {};
  const auto begin = static_cast<std::uint64_t>(archive_filter_bytes(archive_, -1));
  const bool there = begin <= file_size_ && static_cast<std::uint64_t>(size) <= file_size_ - begin;
  return there ? Status() : make_error(Errc::data_loss, "archive: is cut short within a member");
}

la_ssize_t TarWalk::on_read(archive* reader, void* self, const void** bytes) {
  TarWalk& walk = *static_cast<TarWalk*>(self);
  walk.piece_.resize(128_KiB);
  const ssize_t got =
      ::pread(walk.fd_, walk.piece_.data(), walk.piece_.size(), static_cast<off_t>(walk.at_));
  if (got < 0) archive_set_error(reader, errno, "the archive cannot be read");
  if (got < 0) return -1;
  *bytes = walk.piece_.data();
  walk.at_ += static_cast<std::uint64_t>(got);
  if (got > 0 || !walk.plain_ || walk.at_ > walk.file_size_) return got;
  // Fills the last block and adds the two empty blocks that end a tar (pax(1)).
  constexpr std::uint64_t kBlock = 512;
  const std::uint64_t more = (kBlock - walk.at_ % kBlock) % kBlock + 2 * kBlock;
  walk.piece_.assign(more, '\0');
  *bytes = walk.piece_.data();
  walk.at_ += more;
  return static_cast<la_ssize_t>(more);
}

la_int64_t TarWalk::on_skip(archive*, void* self, la_int64_t wanted) {
  TarWalk& walk = *static_cast<TarWalk*>(self);
  const std::uint64_t left = walk.file_size_ - std::min(walk.at_, walk.file_size_);
  const std::uint64_t skipped = std::min(static_cast<std::uint64_t>(wanted), left);
  walk.at_ += skipped;
  return static_cast<la_int64_t>(skipped);
}

}  // namespace berth::image
