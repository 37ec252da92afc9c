// SPDX-License-Identifier: Apache-2.0
// Layers for tests, written entry by entry in the order given, hostile names included.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/image/content/byte_source.h"

namespace berth::image {

// The attributes of an entry; a test sets those that it is about.
struct Entry {
  std::string name;
  mode_t mode = 0644;
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t mtime = 1'000'000;
  std::vector<std::pair<std::string, std::string>> xattrs = {};
};

class TarBuilder {
 public:
  TarBuilder() : archive_(archive_write_new()) {
    archive_write_set_format_pax(archive_);
    // Names are bytes: no conversion.
    archive_write_set_options(archive_, "hdrcharset=BINARY");
    archive_write_set_bytes_per_block(archive_, 0);
    archive_write_open(archive_, this, nullptr, on_write, nullptr);
  }
  ~TarBuilder() { archive_write_free(archive_); }
  TarBuilder(const TarBuilder&) = delete;
  TarBuilder& operator=(const TarBuilder&) = delete;

  TarBuilder& file(const Entry& entry, const std::string& contents) {
    auto made = make(entry, AE_IFREG);
    archive_entry_set_size(made.get(), static_cast<la_int64_t>(contents.size()));
    return add(made.get(), contents);
  }
  TarBuilder& file(const std::string& name, const std::string& contents = "contents") {
    return file(Entry{.name = name}, contents);
  }
  // `contents` at `offset` of a file of `size` bytes, the rest a hole.
  TarBuilder& sparse(const std::string& name, std::int64_t size, std::int64_t offset,
                     const std::string& contents) {
    auto made = make(Entry{.name = name}, AE_IFREG);
    archive_entry_set_size(made.get(), size);
    archive_entry_sparse_add_entry(made.get(), offset, static_cast<la_int64_t>(contents.size()));
    EXPECT_EQ(archive_write_header(archive_, made.get()), ARCHIVE_OK);
    const std::string zeros(1 << 16, '\0');
    for (std::int64_t at = 0; at < size;) {
      const bool inside = at == offset;
      const std::string& piece = inside ? contents : zeros;
      std::size_t count = piece.size();
      if (!inside && at < offset) count = std::min<std::size_t>(count, offset - at);
      count = std::min<std::size_t>(count, size - at);
      archive_write_data(archive_, piece.data(), count);
      at += static_cast<std::int64_t>(count);
    }
    return *this;
  }
  // A file with a POSIX ACL as text in the tar: `uid` may `permissions`.
  TarBuilder& file_with_acl(const std::string& name, int uid, int permissions) {
    auto made = make(Entry{.name = name, .mode = 0640}, AE_IFREG);
    archive_entry_set_size(made.get(), 0);
    constexpr int kAccess = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
    const auto add_acl = [&made](int bits, int tag, int id) {
      archive_entry_acl_add_entry(made.get(), kAccess, bits, tag, id, nullptr);
    };
    add_acl(6, ARCHIVE_ENTRY_ACL_USER_OBJ, -1);
    add_acl(permissions, ARCHIVE_ENTRY_ACL_USER, uid);
    add_acl(4, ARCHIVE_ENTRY_ACL_GROUP_OBJ, -1);
    add_acl(7, ARCHIVE_ENTRY_ACL_MASK, -1);
    add_acl(0, ARCHIVE_ENTRY_ACL_OTHER, -1);
    return add(made.get(), "");
  }
  TarBuilder& dir(const Entry& entry) { return add(make(entry, AE_IFDIR).get(), ""); }
  TarBuilder& dir(const std::string& name) { return dir(Entry{.name = name, .mode = 0755}); }
  TarBuilder& link(const std::string& name, const std::string& target) {
    auto made = make(Entry{.name = name, .mode = 0777}, AE_IFLNK);
    archive_entry_set_symlink(made.get(), target.c_str());
    return add(made.get(), "");
  }
  TarBuilder& hard_link(const std::string& name, const std::string& target) {
    auto made = make(Entry{.name = name}, AE_IFREG);
    archive_entry_set_hardlink(made.get(), target.c_str());
    return add(made.get(), "");
  }
  TarBuilder& node(const Entry& entry, mode_t type, unsigned major, unsigned minor) {
    auto made = make(entry, type);
    archive_entry_set_rdevmajor(made.get(), major);
    archive_entry_set_rdevminor(made.get(), minor);
    return add(made.get(), "");
  }
  std::string finish() {
    archive_write_close(archive_);
    return bytes_;
  }

 private:
  struct FreeEntry {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  using EntryPtr = std::unique_ptr<archive_entry, FreeEntry>;

  EntryPtr make(const Entry& entry, mode_t type) {
    EntryPtr made(archive_entry_new());
    archive_entry_set_pathname(made.get(), entry.name.c_str());
    archive_entry_set_filetype(made.get(), type);
    archive_entry_set_perm(made.get(), entry.mode);
    archive_entry_set_uid(made.get(), entry.uid);
    archive_entry_set_gid(made.get(), entry.gid);
    archive_entry_set_mtime(made.get(), entry.mtime, 0);
    for (const auto& [name, value] : entry.xattrs) {
      archive_entry_xattr_add_entry(made.get(), name.c_str(), value.data(), value.size());
    }
    return made;
  }
  TarBuilder& add(archive_entry* entry, const std::string& contents) {
    EXPECT_GE(archive_write_header(archive_, entry), ARCHIVE_WARN)
        << archive_error_string(archive_);
    if (!contents.empty()) archive_write_data(archive_, contents.data(), contents.size());
    return *this;
  }
  static la_ssize_t on_write(archive*, void* context, const void* bytes, std::size_t size) {
    static_cast<TarBuilder*>(context)->bytes_.append(static_cast<const char*>(bytes), size);
    return static_cast<la_ssize_t>(size);
  }

  archive* archive_;
  std::string bytes_;
};

class BytesSource final : public ByteSource {
 public:
  explicit BytesSource(std::string_view bytes) : rest_(bytes) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    const std::size_t count = rest_.copy(out, std::min<std::size_t>(size, 777));
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
};

}  // namespace berth::image
