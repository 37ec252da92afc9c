// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/unpack_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/sysmacros.h>

#include "core/base/units.h"
#include "snapshotter/unpack_acl.h"

namespace berth::snapshotter {
namespace {

constexpr std::size_t kReadSize = 256_KiB;

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

TarReader::TarReader(image::ByteSource& source)
    : source_(source), buffer_(kReadSize), archive_(archive_read_new()) {
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
  const int code = archive_read_next_header(archive_, &entry_);
  if (code == ARCHIVE_EOF) return false;
  TRY_(check(code));
  const char* name = archive_entry_pathname(entry_);
  if (name == nullptr) return make_error(Errc::invalid_argument, "an entry has no name");
  entry.name = name;
  return true;
}

Status TarReader::describe(TarEntry& entry) {
  TRY(entry.type, type_of(entry_));
  entry.target.clear();
  if (entry.type == EntryType::hard_link) {
    entry.target = archive_entry_hardlink(entry_);
    return {};
  }
  if (entry.type == EntryType::symlink) {
    const char* target = archive_entry_symlink(entry_);
    if (target == nullptr || *target == '\0') {
      return make_error(Errc::invalid_argument, "a symbolic link to nothing");
    }
    entry.target = target;
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
  if (code == ARCHIVE_EOF) return std::optional<Block>();
  TRY_(check(code));
  return std::optional<Block>(
      Block{static_cast<const char*>(bytes), size, static_cast<std::uint64_t>(offset)});
}

long TarReader::on_read(archive* reader, void* context, const void** bytes) {
  TarReader& self = *static_cast<TarReader*>(context);
  Result<std::size_t> got = self.source_.read(self.buffer_.data(), self.buffer_.size());
  if (!got.ok()) {
    self.failure_ = std::move(got).error();
    archive_set_error(reader, EIO, "read failed");
    return -1;
  }
  *bytes = self.buffer_.data();
  return static_cast<long>(*got);
}

// A warning (ARCHIVE_WARN) leaves a usable entry; everything worse ends the layer.
Status TarReader::check(int code) {
  if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return {};
  if (failure_.has_value()) return *std::move(failure_);
  const char* text = archive_error_string(archive_);
  return make_error(Errc::invalid_argument,
                    std::string("the tar is damaged: ") + (text == nullptr ? "?" : text));
}

}  // namespace berth::snapshotter
