// SPDX-License-Identifier: Apache-2.0
// Reads a tar stream as entries with names, attributes and blocks of contents. libarchive parses
// the formats (ustar, pax, GNU, old and new sparse files); in this room only this file and acl.cc
// use it. Names are read from the headers themselves (names.h).
//
// A stream may end after an entry's contents: some writers leave out the padding of the last entry
// and the empty blocks after it. Missing contents or headers are data_loss.
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
  std::string name;  // as in the tar
  EntryType type = EntryType::file;
  std::string target;      // of a symlink or hard link
  std::uint64_t size = 0;  // of a file, with holes
  dev_t device = 0;
  Attributes attributes;
};

// Used by one thread only.
class TarReader {
 public:
  // `source` is borrowed; its Error is returned unchanged, although libarchive calls it.
  explicit TarReader(ByteSource& source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  Status open();
  // Sets the name only; call describe() for the rest. False at the end.
  Result<bool> next(TarEntry& entry);
  // Sets everything else of that entry.
  Status describe(TarEntry& entry);

  struct Block {
    const char* bytes = nullptr;  // valid until the next call
    std::size_t size = 0;
    std::uint64_t offset = 0;
  };
  // Contents of the entry without its holes; absent at the end. The map of a sparse file is not
  // checked, so blocks may come in any order and at any offset.
  Result<std::optional<Block>> next_block();

 private:
  // A piece of the stream. libarchive uses it until it asks for the next one; it is kept longer
  // while a header may begin in it.
  struct Chunk {
    std::uint64_t offset = 0;
    std::size_t size = 0;
    std::vector<char> bytes;
  };

  static long on_read(archive* reader, void* context, const void** bytes);
  Status read_chunk(archive* reader);
  void drop_chunks(std::uint64_t before);
  // How many bytes of the stream libarchive has consumed.
  std::uint64_t position() const;
  // data_loss: the source ended before `end`.
  Status check_there(std::uint64_t end, const char* what) const;
  std::string stream(std::uint64_t begin, std::uint64_t end) const;
  Status check(int code);

  ByteSource& source_;
  std::deque<Chunk> chunks_;
  std::vector<char> spare_;
  std::uint64_t read_ = 0;                      // of the stream, including added padding
  std::optional<std::uint64_t> source_size_;    // known once it has ended
  std::optional<std::uint64_t> headers_begin_;  // while headers are read
  archive* archive_;
  archive_entry* entry_ = nullptr;  // borrowed from archive_
  bool contents_read_ = true;       // of entry_
  RawNames names_;                  // of entry_
  std::optional<Error> failure_;
};

}  // namespace berth::image
