// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/reader.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <utility>

#include "core/base/text.h"
#include "core/image/archive/member_name.h"
#include "core/image/archive/tar_walk.h"

namespace berth::image {
namespace {

// The entry's name as a key, "" for what cannot be a member (the root).
Result<std::string> name_of(archive_entry* entry) {
  const char* raw = archive_entry_pathname(entry);
  if (raw == nullptr) return bad_archive("a member has no name");
  if (std::strlen(raw) >= PATH_MAX)
    return bad_archive("member " + quoted(raw) + ": the name is too long");
  std::optional<std::string> name = normal_name("", raw);
  if (!name) {
    return bad_archive("member " + quoted(raw) + ": the name leads out of the archive");
  }
  return *std::move(name);
}

std::uint64_t size_of(archive_entry* entry) {
  return static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0));
}

// GNU's header has two sizes, of the file and of its bytes in the archive, and they may disagree.
Error other_size(const std::string& name, std::uint64_t size) {
  return bad_archive("member " + quoted(name) + " has not the " + std::to_string(size) +
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
    return bad_archive("member " + quoted(name) + ": the link is too long");
  }
  const std::string_view base = hard != nullptr ? std::string_view() : directory_of(name);
  std::optional<std::string> target = normal_name(base, raw);
  if (!target || target->empty()) {
    return bad_archive("member " + quoted(name) + ": the link leads out of the archive");
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
  return bad_archive(field + ": " + quoted(name) + " is not in the archive");
}

Status ArchiveReader::walk(const std::set<std::string>& wanted, const Visitor& visit) const {
  if (wanted.empty()) return {};
  for (const std::string& name : wanted) {
    // Readers of archives differ in which of the two they take.
    const auto member = members_.find(name);
    const bool twice = member != members_.end() && member->second.twice;
    if (twice) return bad_archive("member " + quoted(name) + " is there twice");
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
    if (member == members_.end()) return bad_archive(quoted(name) + " is not in the archive");
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
