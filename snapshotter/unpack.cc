// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "core/base/units.h"
#include "snapshotter/unpack_files.h"
#include "snapshotter/unpack_tree.h"

namespace berth::snapshotter {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

// libarchive turns names into the thread's character set; in the C locale, bytes above 127 of pax
// names would become question marks.
class Utf8Thread {
 public:
  Utf8Thread() : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = ::uselocale(utf8_);
  }
  ~Utf8Thread() {
    if (utf8_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(utf8_);
  }
  Utf8Thread(const Utf8Thread&) = delete;
  Utf8Thread& operator=(const Utf8Thread&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

// The reading half: libarchive pulls from `source`, whose Error outlives the trip through C.
class TarReader {
 public:
  explicit TarReader(image::ByteSource& source)
      : source_(source), buffer_(128_KiB), archive_(archive_read_new()) {
    CHECK(archive_ != nullptr);
  }
  ~TarReader() { archive_read_free(archive_); }
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  Status open() {
    archive_read_support_format_tar(archive_);
    archive_read_support_format_empty(archive_);
    return check(archive_read_open(archive_, this, nullptr, on_read, nullptr));
  }
  // The next entry, borrowed; null at the end.
  Result<archive_entry*> next() {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(archive_, &entry);
    if (code == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
    TRY_(check(code));
    return entry;
  }
  struct Block {
    const void* bytes = nullptr;
    std::size_t size = 0;
    std::int64_t offset = 0;
    bool end = false;
  };
  Result<Block> next_block() {
    Block block;
    const int code = archive_read_data_block(archive_, &block.bytes, &block.size, &block.offset);
    if (code == ARCHIVE_EOF) {
      block.end = true;
      return block;
    }
    TRY_(check(code));
    return block;
  }

 private:
  static la_ssize_t on_read(archive*, void* context, const void** bytes) {
    TarReader& reader = *static_cast<TarReader*>(context);
    Result<std::size_t> got = reader.source_.read(reader.buffer_.data(), reader.buffer_.size());
    if (!got.ok()) {
      reader.failure_ = std::move(got).error();
      archive_set_error(reader.archive_, EIO, "read failed");
      return -1;
    }
    *bytes = reader.buffer_.data();
    return static_cast<la_ssize_t>(*got);
  }
  // A warning (ARCHIVE_WARN) leaves a usable entry; everything worse ends the layer.
  Status check(int code) {
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return {};
    if (failure_.has_value()) return *std::move(failure_);
    const char* text = archive_error_string(archive_);
    return make_error(Errc::invalid_argument,
                      std::string("the tar is damaged: ") + (text == nullptr ? "?" : text));
  }

  image::ByteSource& source_;
  std::vector<char> buffer_;
  archive* archive_;
  std::optional<Error> failure_;
};

timespec modification_time(archive_entry* entry) {
  return {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
}

Result<Attributes> attributes_of(archive_entry* entry) {
  Attributes attributes;
  const std::int64_t uid = archive_entry_uid(entry);
  const std::int64_t gid = archive_entry_gid(entry);
  constexpr std::int64_t kIdMax = 0xffff'fffe;  // the value above means "no change" to chown
  if (uid < 0 || uid > kIdMax || gid < 0 || gid > kIdMax) {
    return make_error(Errc::invalid_argument, "owner " + std::to_string(uid) + ":" +
                                                  std::to_string(gid) + " is out of range");
  }
  attributes.uid = static_cast<uid_t>(uid);
  attributes.gid = static_cast<gid_t>(gid);
  attributes.mode = archive_entry_perm(entry) & 07777;
  attributes.modification = modification_time(entry);
  attributes.access = attributes.modification;
  if (archive_entry_atime_is_set(entry) != 0) {
    attributes.access = {archive_entry_atime(entry), archive_entry_atime_nsec(entry)};
  }
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    attributes.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }
  return attributes;
}

// One layer on its way from the reader into the tree.
class Unpacker {
 public:
  Unpacker(TarReader& reader, UnpackTree& tree, const UnpackLimits& limits)
      : reader_(reader), tree_(tree), limits_(limits) {}

  Status unpack(archive_entry* entry, const std::string& raw);
  Status count_entry();
  const UnpackStats& stats() const { return stats_; }

 private:
  Status unpack_whiteout(const std::string& path, std::string_view base);
  Status unpack_typed(archive_entry* entry, const std::string& path);
  Status unpack_file(archive_entry* entry, const std::string& path, const Attributes& attributes);
  Status copy_contents(int file, const std::string& path, std::uint64_t size);

  TarReader& reader_;
  UnpackTree& tree_;
  const UnpackLimits& limits_;
  UnpackStats stats_;
};

Status Unpacker::count_entry() {
  if (++stats_.entries <= limits_.entries_max) return {};
  return make_error(Errc::resource_exhausted,
                    "more than " + std::to_string(limits_.entries_max) + " entries");
}

Status Unpacker::unpack(archive_entry* entry, const std::string& raw) {
  TRY(const std::string path, clean_path(raw));
  const std::size_t slash = path.rfind('/');
  const std::string_view base = slash == std::string::npos
                                    ? std::string_view(path)
                                    : std::string_view(path).substr(slash + 1);
  if (base.starts_with(kWhiteoutPrefix)) return unpack_whiteout(path, base);
  // What aufs keeps in directories of its own.
  if (path.starts_with(kMetaPrefix) ||
      path.find("/" + std::string(kMetaPrefix)) != std::string::npos) {
    return {};
  }
  return unpack_typed(entry, path);
}

Status Unpacker::unpack_whiteout(const std::string& path, std::string_view base) {
  const std::string parent = path.substr(0, path.size() - base.size());
  if (base == kOpaqueName) return tree_.opaque(parent.substr(0, parent.rfind('/')));
  if (base.starts_with(kMetaPrefix)) return {};
  const std::string_view hidden = base.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") {
    return make_error(Errc::invalid_argument, "a whiteout of `" + std::string(hidden) + "`");
  }
  return tree_.whiteout(parent + std::string(hidden));
}

Status Unpacker::unpack_typed(archive_entry* entry, const std::string& path) {
  const mode_t type = archive_entry_filetype(entry);
  TRY(const Attributes attributes, attributes_of(entry));
  if (path.empty() && type != AE_IFDIR) {
    return make_error(Errc::invalid_argument, "the root of the layer must be a directory");
  }
  if (const char* raw_target = archive_entry_hardlink(entry)) {
    TRY(const std::string target, clean_path(raw_target));
    return tree_.hard_link(path, target);
  }
  switch (type) {
    case AE_IFREG:
      return unpack_file(entry, path, attributes);
    case AE_IFDIR:
      return tree_.directory(path, attributes);
    case AE_IFLNK: {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr || *target == '\0') {
        return make_error(Errc::invalid_argument, "a symbolic link to nothing");
      }
      return tree_.symlink(path, target, attributes);
    }
    case AE_IFCHR:
    case AE_IFBLK:
      return tree_.node(path, type == AE_IFCHR ? S_IFCHR : S_IFBLK,
                        ::makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry)),
                                  static_cast<unsigned>(archive_entry_rdevminor(entry))),
                        attributes);
    case AE_IFIFO:
      return tree_.node(path, S_IFIFO, 0, attributes);
    default:
      return make_error(Errc::invalid_argument, "an entry of unknown type " + std::to_string(type));
  }
}

Status Unpacker::unpack_file(archive_entry* entry, const std::string& path,
                             const Attributes& attributes) {
  const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
  if (size > limits_.file_size_max) {
    return make_error(Errc::resource_exhausted, "a file of " + std::to_string(size) +
                                                    " bytes, more than the limit of " +
                                                    std::to_string(limits_.file_size_max));
  }
  TRY(const UniqueFd file, tree_.create_file(path));
  TRY_(copy_contents(file.get(), path, size));
  return tree_.finish_file(file, path, attributes);
}

Status Unpacker::copy_contents(int file, const std::string& path, std::uint64_t size) {
  std::uint64_t end = 0;
  while (true) {
    TRY(const TarReader::Block block, reader_.next_block());
    if (block.end) break;
    stats_.bytes += block.size;
    if (stats_.bytes > limits_.bytes_max) {
      return make_error(Errc::resource_exhausted,
                        "more than " + std::to_string(limits_.bytes_max) + " bytes in files");
    }
    const char* bytes = static_cast<const char*>(block.bytes);
    std::size_t done = 0;
    while (done < block.size) {
      const ssize_t wrote =
          ::pwrite(file, bytes + done, block.size - done,
                   static_cast<off_t>(block.offset + static_cast<std::int64_t>(done)));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return sys_error(errno, "write", printable(path));
      done += static_cast<std::size_t>(wrote);
    }
    end = static_cast<std::uint64_t>(block.offset) + block.size;
  }
  // A hole at the end is not written.
  if (end < size && ::ftruncate(file, static_cast<off_t>(size)) != 0) {
    return sys_error(errno, "ftruncate", printable(path));
  }
  return {};
}

// Returns the implied directories.
Result<std::vector<std::string>> unpack_all(TarReader& reader, UnpackTree& tree,
                                            Unpacker& unpacker) {
  TRY_(reader.open());
  TRY_(tree.start());
  while (true) {
    TRY(archive_entry* const entry, reader.next());
    if (entry == nullptr) return tree.finish();
    const char* raw = archive_entry_pathname(entry);
    if (raw == nullptr) return make_error(Errc::invalid_argument, "an entry has no name");
    // Our own copy: libarchive may convert the entry's strings anew.
    const std::string name = raw;
    Status done = unpacker.count_entry();
    if (done.ok()) done = unpacker.unpack(entry, name);
    if (!done.ok()) return std::move(done).error().with("entry `" + printable(name) + "`");
  }
}

}  // namespace

Result<UnpackResult> unpack_layer(int directory, LayerPlace place, std::string_view layer,
                                  image::ByteSource& tar, const UnpackLimits& limits) {
  const Utf8Thread utf8;
  TarReader reader(tar);
  UnpackTree tree(directory, place);
  Unpacker unpacker(reader, tree, limits);
  Result<std::vector<std::string>> implied = unpack_all(reader, tree, unpacker);
  if (!implied.ok()) return std::move(implied).error().with("layer " + std::string(layer));
  return UnpackResult{unpacker.stats(), *std::move(implied)};
}

}  // namespace berth::snapshotter
