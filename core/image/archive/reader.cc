// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/text.h"
#include "core/base/units.h"

namespace berth::image {
namespace {

Error bad(const std::string& what) {
  return make_error(Errc::invalid_argument, "archive: " + what);
}

// "./a/../b" relative to the directory `base` as a member's name; nullopt: it leads out. The root
// is the archive's: `tar -P` writes "/a" for "a".
std::optional<std::string> normal_name(std::string_view base, std::string_view name) {
  if (name.starts_with('/')) base = {};
  std::vector<std::string_view> parts;
  for (const std::string_view text : {base, name}) {
    std::size_t begin = 0;
    while (begin <= text.size()) {
      const std::size_t end = std::min(text.find('/', begin), text.size());
      const std::string_view part = text.substr(begin, end - begin);
      begin = end + 1;
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (parts.empty()) {
        return std::nullopt;
      } else {
        parts.pop_back();
      }
    }
  }
  std::string normal;
  for (const std::string_view part : parts) {
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

std::string_view directory_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

// One walk from the beginning.
class TarWalk {
 public:
  explicit TarWalk(std::stop_token stop) : archive_(archive_read_new()), stop_(std::move(stop)) {
    CHECK(archive_ != nullptr);
  }
  TarWalk(const TarWalk&) = delete;
  ~TarWalk() { archive_read_free(archive_); }

  Status open(int fd) {
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
  // Null at the end.
  Result<archive_entry*> next() {
    TRY_(check_stop());
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(archive_, &entry);
    if (code == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
    TRY_(check(code));
    TRY_(check_there(entry));
    return entry;
  }
  // Empty at the end of the member.
  Result<std::string_view> data() {
    TRY_(check_stop());
    buffer_.resize(128_KiB);
    const la_ssize_t got = archive_read_data(archive_, buffer_.data(), buffer_.size());
    if (got < 0) TRY_(check(ARCHIVE_FATAL));
    return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
  }
  // Of an archive that is compressed as a whole: passes over the member, which is inflated for it.
  // Of a plain one next() seeks over it for nothing. False: it has more than `size` bytes.
  Result<bool> pass(std::uint64_t size) {
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

 private:
  Status check_stop() const {
    if (stop_.stop_requested()) return make_error(Errc::cancelled, "archive: told to stop");
    return {};
  }
  Status check(int code) {
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return {};
    const char* text = archive_error_string(archive_);
    const std::string why = text == nullptr ? "cannot be read" : text;
    return bad(why);
  }

  static Result<bool> is_plain(int fd) {
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
  // What writers leave out behind the last member is added to a plain tar, so here it must be seen
  // that a member's bytes are there. Of a sparse one the size says nothing of them.
  Status check_there(archive_entry* entry) {
    const std::int64_t size = archive_entry_size(entry);
    if (!plain_ || archive_entry_sparse_count(entry) > 0 || size <= 0) return {};
    const auto begin = static_cast<std::uint64_t>(archive_filter_bytes(archive_, -1));
    const bool there =
        begin <= file_size_ && static_cast<std::uint64_t>(size) <= file_size_ - begin;
    return there ? Status() : make_error(Errc::data_loss, "archive: is cut short within a member");
  }
  static la_ssize_t on_read(archive* reader, void* self, const void** bytes) {
    TarWalk& walk = *static_cast<TarWalk*>(self);
    walk.piece_.resize(128_KiB);
    const ssize_t got =
        ::pread(walk.fd_, walk.piece_.data(), walk.piece_.size(), static_cast<off_t>(walk.at_));
    if (got < 0) archive_set_error(reader, errno, "the archive cannot be read");
    if (got < 0) return -1;
    *bytes = walk.piece_.data();
    walk.at_ += static_cast<std::uint64_t>(got);
    if (got > 0 || !walk.plain_ || walk.at_ > walk.file_size_) return got;
    // To the end of a block, and the two empty ones that end a tar (pax(1)).
    constexpr std::uint64_t kBlock = 512;
    const std::uint64_t more = (kBlock - walk.at_ % kBlock) % kBlock + 2 * kBlock;
    walk.piece_.assign(more, '\0');
    *bytes = walk.piece_.data();
    walk.at_ += more;
    return static_cast<la_ssize_t>(more);
  }
  static la_int64_t on_skip(archive*, void* self, la_int64_t wanted) {
    TarWalk& walk = *static_cast<TarWalk*>(self);
    const std::uint64_t left = walk.file_size_ - std::min(walk.at_, walk.file_size_);
    const std::uint64_t skipped = std::min(static_cast<std::uint64_t>(wanted), left);
    walk.at_ += skipped;
    return static_cast<la_int64_t>(skipped);
  }

  archive* archive_;
  std::stop_token stop_;
  std::string buffer_;
  int fd_ = -1;
  bool plain_ = false;  // no compression around the tar
  std::uint64_t file_size_ = 0;
  std::uint64_t at_ = 0;  // in the file, and in what is added behind it
  std::string piece_;
};

// The entry's name as a key, "" for what cannot be a member (the root).
Result<std::string> name_of(archive_entry* entry) {
  const char* raw = archive_entry_pathname(entry);
  if (raw == nullptr) return bad("a member has no name");
  if (std::strlen(raw) >= PATH_MAX) return bad("member " + quoted(raw) + ": the name is too long");
  std::optional<std::string> name = normal_name("", raw);
  if (!name) {
    return bad("member " + quoted(raw) + ": the name leads out of the archive");
  }
  return *std::move(name);
}

std::uint64_t size_of(archive_entry* entry) {
  return static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0));
}

// GNU's header has two sizes, of the file and of its bytes in the archive, and they may disagree.
Error other_size(const std::string& name, std::uint64_t size) {
  return bad("member " + quoted(name) + " has not the " + std::to_string(size) +
             " bytes that its header says");
}

Error too_much(const ArchiveLimits& limits) {
  return make_error(Errc::resource_exhausted,
                    "archive: more than " + std::to_string(limits.members_max) + " members, " +
                        std::to_string(limits.bytes_max) + " bytes or " +
                        std::to_string(limits.names_max) + " bytes of names");
}

}  // namespace

Result<ArchiveReader> ArchiveReader::open(int fd, ArchiveLimits limits) {
  ArchiveReader reader(fd, limits);
  TRY_(reader.list());
  return reader;
}

Status ArchiveReader::list() {
  struct stat file {};
  if (::fstat(fd_, &file) != 0) return sys_error(errno, "fstat", "archive");
  const std::uint64_t bytes_of_file = static_cast<std::uint64_t>(file.st_size);
  TarWalk walk(limits_.stop);
  TRY_(walk.open(fd_));
  std::uint64_t total = 0;
  std::size_t names = 0;
  for (std::size_t headers = 0;; ++headers) {
    TRY(archive_entry * entry, walk.next());
    if (entry == nullptr) return {};
    // Also of what is no member: a directory costs 512 bytes of tar, and nothing once packed.
    if (headers >= limits_.members_max) return too_much(limits_);
    TRY(const std::string name, name_of(entry));
    TRY(std::optional<Member> member, member_of(entry, name));
    const std::uint64_t size = size_of(entry);
    total += size;
    // A pax header may give a name of a megabyte, and compresses to nothing.
    if (member) names += name.size() + member->link.size();
    if (total > limits_.bytes_max || names > limits_.names_max) return too_much(limits_);
    if (total > limits_.ratio_grace && total / limits_.ratio_max > bytes_of_file) {
      return make_error(Errc::resource_exhausted, "archive: inflates to more than " +
                                                      std::to_string(limits_.ratio_max) +
                                                      " times its size");
    }
    if (member) {
      const auto [there, is_new] = members_.emplace(name, *std::move(member));
      there->second.twice = !is_new;
    }
    TRY(const bool honest, walk.pass(size));
    if (!honest) return other_size(name, size);
  }
}

// Nullopt: the entry is no member, as a directory.
Result<std::optional<ArchiveReader::Member>> ArchiveReader::member_of(archive_entry* entry,
                                                                      const std::string& name) {
  const char* const hard = archive_entry_hardlink(entry);
  const char* const raw = hard != nullptr ? hard : archive_entry_symlink(entry);
  if (name.empty() || (archive_entry_filetype(entry) != S_IFREG && raw == nullptr)) {
    return std::optional<Member>();
  }
  Member member;
  member.size = size_of(entry);
  if (raw == nullptr) return std::optional(std::move(member));
  if (std::strlen(raw) >= PATH_MAX) {
    return bad("member " + quoted(name) + ": the link is too long");
  }
  const std::string_view base = hard != nullptr ? std::string_view() : directory_of(name);
  std::optional<std::string> target = normal_name(base, raw);
  if (!target || target->empty()) {
    return bad("member " + quoted(name) + ": the link leads out of the archive");
  }
  member.link = *std::move(target);
  return std::optional(std::move(member));
}

Result<std::string> ArchiveReader::resolve(const std::string& field,
                                           const std::string& name) const {
  constexpr int kLinksMax = 8;
  std::optional<std::string> at = normal_name("", name);
  for (int links = 0; at && links <= kLinksMax; ++links) {
    const auto member = members_.find(*at);
    if (member == members_.end()) break;
    if (member->second.link.empty()) return *std::move(at);
    at = member->second.link;
  }
  return bad(field + ": " + quoted(name) + " is not in the archive");
}

Status ArchiveReader::walk(const std::set<std::string>& wanted, const Visitor& visit) const {
  if (wanted.empty()) return {};
  for (const std::string& name : wanted) {
    // Readers of archives differ in which of the two they take.
    const auto member = members_.find(name);
    const bool twice = member != members_.end() && member->second.twice;
    if (twice) return bad("member " + quoted(name) + " is there twice");
  }
  TarWalk walk(limits_.stop);
  TRY_(walk.open(fd_));
  std::size_t found = 0;
  while (found < wanted.size()) {
    TRY(archive_entry * entry, walk.next());
    if (entry == nullptr) return make_error(Errc::data_loss, "archive: ends before a member");
    TRY(const std::string name, name_of(entry));
    if (wanted.count(name) == 0 || archive_entry_filetype(entry) != S_IFREG) {
      TRY(const bool honest, walk.pass(size_of(entry)));
      if (!honest) return other_size(name, size_of(entry));
      continue;
    }
    ++found;
    std::uint64_t left = size(name);
    for (;;) {
      TRY(const std::string_view piece, walk.data());
      if (piece.empty()) break;
      if (piece.size() > left) return other_size(name, size(name));
      left -= piece.size();
      TRY_(visit(name, piece));
    }
    if (left != 0) return other_size(name, size(name));
  }
  return {};
}

Result<std::map<std::string, std::string>> ArchiveReader::read(const std::set<std::string>& wanted,
                                                               std::size_t size_max) const {
  std::map<std::string, std::string> all;
  TRY_(read_each(wanted, size_max, [&all](const std::string& name, std::string text) -> Status {
    all[name] = std::move(text);
    return {};
  }));
  return all;
}

Status ArchiveReader::read_each(const std::set<std::string>& wanted, std::size_t size_max,
                                const Taker& take) const {
  for (const std::string& name : wanted) {
    const auto member = members_.find(name);
    if (member == members_.end()) return bad(quoted(name) + " is not in the archive");
    if (member->second.size > size_max) {
      return make_error(Errc::resource_exhausted,
                        "archive: " + quoted(name) + " has " + std::to_string(member->second.size) +
                            " bytes, more than the " + std::to_string(size_max) + " allowed");
    }
    // The walk never sees it.
    if (member->second.size == 0) TRY_(take(name, ""));
  }
  std::string text;
  return walk(wanted, [&](const std::string& name, std::string_view piece) -> Status {
    text += piece;
    if (text.size() < size(name)) return {};
    return take(name, std::exchange(text, {}));
  });
}

}  // namespace berth::image
