// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/acl.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>

#include <algorithm>
#include <optional>
#include <tuple>

namespace berth::image {
namespace {

// include/uapi/linux/posix_acl.h and posix_acl_xattr.h: a version, then entries in this order of
// tags, entries of one tag ordered by id; all little-endian.
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kNoId = 0xffff'ffff;
enum Tag : std::uint16_t {
  user_obj = 1,
  user = 2,
  group_obj = 4,
  group = 8,
  mask = 16,
  other = 32
};

using AclEntry = std::tuple<std::uint16_t, std::uint32_t, std::uint16_t>;  // tag, id, permissions

std::optional<std::uint16_t> tag_of(int archive_tag) {
  switch (archive_tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
      return user_obj;
    case ARCHIVE_ENTRY_ACL_USER:
      return user;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
      return group_obj;
    case ARCHIVE_ENTRY_ACL_GROUP:
      return group;
    case ARCHIVE_ENTRY_ACL_MASK:
      return mask;
    case ARCHIVE_ENTRY_ACL_OTHER:
      return other;
    default:
      return std::nullopt;
  }
}

template <typename T>
void append(std::string& bytes, T little_endian) {
  bytes.append(reinterpret_cast<const char*>(&little_endian), sizeof little_endian);
}

std::string encode(std::vector<AclEntry>& entries) {
  std::sort(entries.begin(), entries.end());
  std::string bytes;
  append(bytes, ::htole32(kVersion));
  for (const auto& [tag, id, permissions] : entries) {
    append(bytes, ::htole16(tag));
    append(bytes, ::htole16(permissions));
    append(bytes, ::htole32(id));
  }
  return bytes;
}

// Absent: the entry has no such list, or the list has a name without an id.
std::optional<std::string> encode_list(archive_entry* entry, int which) {
  std::vector<AclEntry> entries;
  if (archive_entry_acl_reset(entry, which) == 0) return std::nullopt;
  int type = 0;
  int permissions = 0;
  int archive_tag = 0;
  int id = 0;
  const char* name = nullptr;
  while (archive_entry_acl_next(entry, which, &type, &permissions, &archive_tag, &id, &name) ==
         ARCHIVE_OK) {
    const std::optional<std::uint16_t> tag = tag_of(archive_tag);
    const bool named = tag == user || tag == group;
    if (!tag.has_value() || (named && id < 0)) return std::nullopt;
    entries.emplace_back(*tag, named ? static_cast<std::uint32_t>(id) : kNoId,
                         static_cast<std::uint16_t>(permissions & 7));
  }
  return encode(entries);
}

}  // namespace

void add_acl_xattrs(archive_entry* entry, Attributes& attributes) {
  const int types = archive_entry_acl_types(entry);
  if ((types & ARCHIVE_ENTRY_ACL_TYPE_POSIX1E) == 0) return;
  const std::pair<int, const char*> lists[] = {
      {ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access"},
      {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default"},
  };
  for (const auto& [which, xattr] : lists) {
    if ((types & which) == 0) continue;
    if (auto value = encode_list(entry, which)) {
      attributes.xattrs.emplace_back(xattr, *std::move(value));
    }
  }
}

}  // namespace berth::image
