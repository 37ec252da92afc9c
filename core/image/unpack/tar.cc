// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <utility>

#include "core/base/units.h"
#include "core/image/unpack/acl.h"

namespace berth::image {
namespace {

constexpr std::size_t kReadSize = 256_KiB;
// Headers of one entry. libarchive and Go's archive/tar accept an extended header of 1 MiB; the map
// of an old GNU sparse file follows its header, one block for 21 pieces.
constexpr std::size_t kHeadersMost = 8_MiB;
// Two empty blocks end a tar (pax(1)).
constexpr std::size_t kEndSize = 2 * kTarBlock;

Result<EntryType> type_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return EntryType::hard_link;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::file;
    case AE_IFDIR:
      return EntryType::directory;
    case AE_IFLNK:
      return EntryType::symlink;
    case AE_IFCHR:
      return EntryType::character;
    case AE_IFBLK:
      return EntryType::block;
    case AE_IFIFO:
      return EntryType::fifo;
    default:
      return make_error(Errc::invalid_argument, "an entry of unknown type " +
                                                    std::to_string(archive_entry_filetype(entry)));
  }
}

Status read_owner(archive_entry* entry, Attributes& attributes) {
  const std::int64_t uid = archive_entry_uid(entry);
  const std::int64_t gid = archive_entry_gid(entry);
  constexpr std::int64_t kIdMax = 0xffff'fffe;  // the value above means "no change" to chown
  if (uid < 0 || uid > kIdMax || gid < 0 || gid > kIdMax) {
    return make_error(Errc::invalid_argument, "owner " + std::to_string(uid) + ":" +
                                                  std::to_string(gid) + " is out of range");
  }
  attributes.uid = static_cast<uid_t>(uid);
  attributes.gid = static_cast<gid_t>(gid);
  return {};
}

void read_xattrs(archive_entry* entry, Attributes& attributes) {
  attributes.xattrs.clear();
  add_acl_xattrs(entry, attributes);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    attributes.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }
}

}  // namespace

TarReader::TarReader(ByteSource& source) : source_(source), archive_(archive_read_new()) {
  CHECK(archive_ != nullptr);
}

TarReader::~TarReader() {
  archive_read_free(archive_);
}

Status TarReader::open() {
  archive_read_support_format_tar(archive_);
  archive_read_support_format_empty(archive_);
  return check(archive_read_open(archive_, this, nullptr, on_read, nullptr));
}

Result<bool> TarReader::next(TarEntry& entry) {
  // Skip unread contents, so that the stream is at the next entry's headers.
  while (!contents_read_) {
    TRY([[maybe_unused]] const std::optional<Block> passed, next_block());
  }
  const std::uint64_t begin = position();
  headers_begin_ = begin;
  const int code = archive_read_next_header(archive_, &entry_);
  headers_begin_.reset();
  if (code == ARCHIVE_EOF) return false;
  TRY_(check(code));
  TRY_(check_there(position(), "the headers"));
  TRY(names_, read_raw_names(stream(begin, position())));
  contents_read_ = false;
  const char* own = archive_entry_pathname(entry_);
  if (!names_.name.has_value() && own == nullptr) {
    return make_error(Errc::invalid_argument, "an entry has no name");
  }
  entry.name = names_.name.has_value() ? *names_.name : own;
  return true;
}

Status TarReader::describe(TarEntry& entry) {
  TRY(entry.type, type_of(entry_));
  entry.target.clear();
  if (entry.type == EntryType::hard_link) {
    entry.target = names_.target.value_or(archive_entry_hardlink(entry_));
    return {};
  }
  if (entry.type == EntryType::symlink) {
    const char* target = archive_entry_symlink(entry_);
    if (target == nullptr || *target == '\0') {
      return make_error(Errc::invalid_argument, "a symbolic link to nothing");
    }
    entry.target = names_.target.value_or(target);
  }
  Attributes& attributes = entry.attributes;
  TRY_(read_owner(entry_, attributes));
  attributes.mode = archive_entry_perm(entry_) & 07777;
  attributes.modification = {archive_entry_mtime(entry_), archive_entry_mtime_nsec(entry_)};
  attributes.access = attributes.modification;
  if (archive_entry_atime_is_set(entry_) != 0) {
    attributes.access = {archive_entry_atime(entry_), archive_entry_atime_nsec(entry_)};
  }
  read_xattrs(entry_, attributes);
  entry.size = static_cast<std::uint64_t>(archive_entry_size(entry_));
  entry.device = ::makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry_)),
                           static_cast<unsigned>(archive_entry_rdevminor(entry_)));
  return {};
}

Result<std::optional<TarReader::Block>> TarReader::next_block() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  std::int64_t offset = 0;
  const int code = archive_read_data_block(archive_, &bytes, &size, &offset);
  contents_read_ = code == ARCHIVE_EOF;
  if (contents_read_) return std::optional<Block>();
  TRY_(check(code));
  // libarchive counts a block as consumed only when the next one is requested.
  TRY_(check_there(position() + size, "the contents"));
  return std::optional<Block>(
      Block{static_cast<const char*>(bytes), size, static_cast<std::uint64_t>(offset)});
}

std::uint64_t TarReader::position() const {
  const std::int64_t taken = archive_filter_bytes(archive_, -1);
  return taken < 0 ? 0 : static_cast<std::uint64_t>(taken);  // negative before the first byte
}

Status TarReader::check_there(std::uint64_t end, const char* what) const {
  if (!source_size_.has_value() || end <= *source_size_) return {};
  return make_error(Errc::data_loss,
                    std::string("the tar is cut short within ") + what + " of an entry");
}

std::string TarReader::stream(std::uint64_t begin, std::uint64_t end) const {
  std::string bytes;
  for (const Chunk& chunk : chunks_) {
    const std::uint64_t from = std::max(begin, chunk.offset);
    const std::uint64_t to = std::min(end, chunk.offset + chunk.size);
    if (from < to) bytes.append(chunk.bytes.data() + (from - chunk.offset), to - from);
  }
  CHECK(bytes.size() == end - begin);
  return bytes;
}

// One buffer is reused; more are needed only for headers that cross a boundary.
void TarReader::drop_chunks(std::uint64_t before) {
  while (!chunks_.empty() && chunks_.front().offset + chunks_.front().size <= before) {
    spare_ = std::move(chunks_.front().bytes);
    chunks_.pop_front();
  }
}

Status TarReader::read_chunk(archive* reader) {
  CHECK(reader == archive_);
  const std::uint64_t taken = position();
  const std::uint64_t needed = std::min(taken, headers_begin_.value_or(taken));
  drop_chunks(needed);
  if (headers_begin_.has_value() && read_ - needed > kHeadersMost) {
    return make_error(Errc::resource_exhausted, "the headers of an entry are larger than 8 MiB");
  }
  Chunk chunk{.offset = read_, .size = 0, .bytes = std::exchange(spare_, {})};
  chunk.bytes.resize(kReadSize);
  if (!source_size_.has_value()) {
    TRY(chunk.size, source_.read(chunk.bytes.data(), chunk.bytes.size()));
    if (chunk.size == 0) {
      source_size_ = read_;
      // Add the padding and end blocks that the writer may have left out.
      chunk.size = (kTarBlock - read_ % kTarBlock) % kTarBlock + kEndSize;
      std::fill_n(chunk.bytes.begin(), chunk.size, '\0');
    }
  }
  read_ += chunk.size;
  chunks_.push_back(std::move(chunk));
  return {};
}

long TarReader::on_read(archive* reader, void* context, const void** bytes) {
  TarReader& self = *static_cast<TarReader*>(context);
  Status read = self.read_chunk(reader);
  if (!read.ok()) {
    self.failure_ = std::move(read).error();
    archive_set_error(reader, EIO, "read failed");
    return -1;
  }
  *bytes = self.chunks_.back().bytes.data();
  return static_cast<long>(self.chunks_.back().size);
}

// After ARCHIVE_WARN the entry is usable; every other error ends the extraction.
Status TarReader::check(int code) {
  if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return {};
  if (failure_.has_value()) return *std::move(failure_);
  const char* text = archive_error_string(archive_);
  return make_error(Errc::invalid_argument,
                    std::string("the tar is damaged: ") + (text == nullptr ? "?" : text));
}

}  // namespace berth::image
