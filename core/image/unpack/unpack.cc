// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/unpack.h"

#include <locale.h>
#include <sched.h>

#include <algorithm>
#include <string>

#include "core/image/unpack/files.h"
#include "core/image/unpack/tar.h"
#include "core/image/unpack/tree.h"
#include "core/image/unpack/writer.h"

namespace berth::image {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

// libarchive converts the text of pax headers (users of access lists, and names, which are not
// used) to the thread's character set and warns about characters that the C locale lacks. Loaded
// once; 0 if the locale is missing.
locale_t utf8_locale() {
  static const locale_t kept = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kept;
}

class Utf8Thread {
 public:
  // uselocale(0) has no effect.
  Utf8Thread() : before_(::uselocale(utf8_locale())) {}
  ~Utf8Thread() { ::uselocale(before_); }
  Utf8Thread(const Utf8Thread&) = delete;
  Utf8Thread& operator=(const Utf8Thread&) = delete;

 private:
  locale_t before_;
};

// More threads would wait for each other: they share the filesystem's journal and the reader.
constexpr unsigned kWriterThreadsMost = 2;

unsigned writer_threads() {
  cpu_set_t cpus;
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 0;
  return std::min(kWriterThreadsMost, static_cast<unsigned>(CPU_COUNT(&cpus)) - 1);
}

// Writes the entries of one layer into the tree.
class Unpacker {
 public:
  Unpacker(int directory, LayerPlace place, ByteSource& tar, const UnpackLimits& limits)
      : limits_(limits), reader_(tar), tree_(directory, place), writer_(writer_threads()) {}

  // Returns the implied directories.
  Result<std::vector<std::string>> unpack_all();
  const UnpackStats& stats() const { return stats_; }

 private:
  Status unpack();
  Status unpack_whiteout(const std::string& path, std::string_view base);
  Status unpack_typed(const std::string& path);
  Status unpack_file(const std::string& path);

  const UnpackLimits& limits_;
  TarReader reader_;
  UnpackTree tree_;
  FileWriter writer_;
  TarEntry entry_;
  UnpackStats stats_;
};

Result<std::vector<std::string>> Unpacker::unpack_all() {
  TRY_(reader_.open());
  TRY_(tree_.start());
  while (true) {
    TRY(const bool found, reader_.next(entry_));
    if (!found) break;
    Status done = unpack();
    if (!done.ok()) {
      return std::move(done).error().with("entry `" + printable(entry_.name) + "`");
    }
    if (writer_.failed()) break;
  }
  TRY_(writer_.drain());
  return tree_.finish();
}

Status Unpacker::unpack() {
  if (++stats_.entries > limits_.entries_max) {
    return make_error(Errc::resource_exhausted,
                      "more than " + std::to_string(limits_.entries_max) + " entries");
  }
  TRY(const std::string path, clean_path(entry_.name));
  const std::size_t slash = path.rfind('/');
  const std::string_view base = slash == std::string::npos
                                    ? std::string_view(path)
                                    : std::string_view(path).substr(slash + 1);
  if (base.starts_with(kWhiteoutPrefix)) return unpack_whiteout(path, base);
  // aufs' own files.
  if (path.starts_with(kMetaPrefix) ||
      path.find("/" + std::string(kMetaPrefix)) != std::string::npos) {
    return {};
  }
  return unpack_typed(path);
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

Status Unpacker::unpack_typed(const std::string& path) {
  TRY_(reader_.describe(entry_));
  if (path.empty() && entry_.type != EntryType::directory) {
    return make_error(Errc::invalid_argument, "the root of the layer must be a directory");
  }
  switch (entry_.type) {
    case EntryType::file:
      return unpack_file(path);
    case EntryType::directory:
      return tree_.directory(path, entry_.attributes);
    case EntryType::symlink:
      return tree_.symlink(path, entry_.target, entry_.attributes);
    case EntryType::hard_link: {
      TRY(const std::string target, clean_path(entry_.target));
      return tree_.hard_link(path, target);
    }
    case EntryType::character:
      return tree_.node(path, S_IFCHR, entry_.device, entry_.attributes);
    case EntryType::block:
      return tree_.node(path, S_IFBLK, entry_.device, entry_.attributes);
    case EntryType::fifo:
      return tree_.node(path, S_IFIFO, 0, entry_.attributes);
  }
  return {};
}

Status Unpacker::unpack_file(const std::string& path) {
  if (entry_.size > limits_.file_size_max) {
    return make_error(Errc::resource_exhausted, "a file of " + std::to_string(entry_.size) +
                                                    " bytes, more than the limit of " +
                                                    std::to_string(limits_.file_size_max));
  }
  TRY(NewFile file, tree_.create_file(path, entry_.attributes));
  writer_.begin(std::move(file), entry_.name, entry_.attributes);
  while (!writer_.failed()) {
    TRY(const std::optional<TarReader::Block> block, reader_.next_block());
    if (!block.has_value()) break;
    // The map of a sparse file may exceed its size, which the limits were checked against.
    if (block->offset > entry_.size || block->size > entry_.size - block->offset) {
      return make_error(Errc::invalid_argument, "contents of the file are beyond its size");
    }
    stats_.bytes += block->size;
    if (stats_.bytes > limits_.bytes_max) {
      return make_error(Errc::resource_exhausted,
                        "more than " + std::to_string(limits_.bytes_max) + " bytes in files");
    }
    writer_.write(block->offset, {block->bytes, block->size});
  }
  writer_.end(entry_.size);
  return {};
}

}  // namespace

Result<UnpackResult> unpack_layer(int directory, LayerPlace place, std::string_view layer,
                                  ByteSource& tar, const UnpackLimits& limits) {
  const Utf8Thread utf8;
  Unpacker unpacker(directory, place, tar, limits);
  Result<std::vector<std::string>> implied = unpacker.unpack_all();
  if (!implied.ok()) return std::move(implied).error().with("layer " + std::string(layer));
  return UnpackResult{unpacker.stats(), *std::move(implied)};
}

}  // namespace berth::image
