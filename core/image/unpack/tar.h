// SPDX-License-Identifier: Apache-2.0
// The reading half of unpacking: a tar stream as entries with names, attributes and blocks of
// contents. libarchive knows the formats (ustar, pax, GNU, old and new sparse files); this file is
// alone in talking to it. Names are read from the headers themselves (unpack_names.h).
//
// A stream may end where an entry's contents do: writers leave out the padding of the last entry
// and the empty blocks behind it. Where contents or headers are missing, it is data_loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/content/byte_source.h"
#include "core/image/unpack/names.h"
#include "core/image/unpack/tree.h"

struct archive;
struct archive_entry;

namespace berth::image {

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
  explicit TarReader(ByteSource& source);
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
  // A piece of the stream: libarchive's until it asks for the next one, and kept as long as a
  // header may begin in it.
  struct Chunk {
    std::uint64_t offset = 0;
    std::size_t size = 0;
    std::vector<char> bytes;
  };

  static long on_read(archive* reader, void* context, const void** bytes);
  Status read_chunk(archive* reader);
  void drop_chunks(std::uint64_t before);
  // What libarchive has taken of the stream.
  std::uint64_t position() const;
  // Not more than the source had.
  Status check_there(std::uint64_t end, const char* what) const;
  std::string stream(std::uint64_t begin, std::uint64_t end) const;
  Status check(int code);

  ByteSource& source_;
  std::deque<Chunk> chunks_;
  std::vector<char> spare_;
  std::uint64_t read_ = 0;                      // of the stream, with what was added behind it
  std::optional<std::uint64_t> source_size_;    // once it has ended
  std::optional<std::uint64_t> headers_begin_;  // while headers are read
  archive* archive_;
  archive_entry* entry_ = nullptr;  // borrowed from archive_
  bool contents_read_ = true;       // of entry_
  RawNames names_;                  // of entry_
  std::optional<Error> failure_;
};

}  // namespace berth::image
