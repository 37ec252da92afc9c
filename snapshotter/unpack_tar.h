// SPDX-License-Identifier: Apache-2.0
// The reading half of unpacking: a tar stream as entries with names, attributes and blocks of
// contents. libarchive knows the formats (ustar, pax, GNU, old and new sparse files); this file is
// alone in talking to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/byte_source.h"
#include "snapshotter/unpack_tree.h"

struct archive;
struct archive_entry;

namespace berth::snapshotter {

enum class EntryType { file, directory, symlink, hard_link, character, block, fifo };

struct TarEntry {
  std::string name;  // as it is in the tar
  EntryType type = EntryType::file;
  std::string target;      // of a symlink or hard link
  std::uint64_t size = 0;  // of a file, with holes
  dev_t device = 0;
  Attributes attributes;
};

// One thread, from construction to destruction.
class TarReader {
 public:
  // `source` is borrowed; its Error survives the way through C.
  explicit TarReader(image::ByteSource& source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  Status open();
  // Fills the name; the rest by describe(). False at the end.
  Result<bool> next(TarEntry& entry);
  // Everything else of the entry that next() named.
  Status describe(TarEntry& entry);

  struct Block {
    const char* bytes = nullptr;  // valid until the next call
    std::size_t size = 0;
    std::uint64_t offset = 0;
  };
  // Contents of the entry without its holes; absent at the end. A sparse file's map may say
  // anything, so they may be in any order and anywhere.
  Result<std::optional<Block>> next_block();

 private:
  static long on_read(archive* reader, void* context, const void** bytes);
  Status check(int code);

  image::ByteSource& source_;
  std::vector<char> buffer_;
  archive* archive_;
  archive_entry* entry_ = nullptr;  // borrowed from archive_
  std::optional<Error> failure_;
};

}  // namespace berth::snapshotter
