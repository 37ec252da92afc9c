// SPDX-License-Identifier: Apache-2.0
// Extracts one image layer, a tar stream from a stranger, into one directory, and cannot be made to
// touch anything else: every name is resolved by openat2 as if the directory were "/"
// (unpack_tree.h).
//
// Layer rules (OCI image-spec 1.1, layer.md), in the form overlayfs reads:
//   .wh.NAME          a character device 0:0 called NAME: the NAME of the layers below is gone
//   .wh..wh..opq      trusted.overlay.opaque=y on its directory: nothing of it shows from below
// Both say nothing about entries of the same layer, whatever the order. In the lowest layer they
// have nothing to hide and leave nothing.
//
// The layers of an image may be unpacked at the same time: of the layers below, unpack_layer needs
// to know only whether there are any. What depends on them is one thing: directories that a layer
// implies (parents without an entry of their own, and the root) must look as they do below, or
// adding a file would change the directory around it. unpack_layer lists them, adopt_directories
// does it, for one layer after the other from the lowest up:
//
//   unpack_layer(1)  unpack_layer(2)  unpack_layer(3)      in any order, on any threads
//   adopt_directories(2, {1})  then  adopt_directories(3, {2, 1})
//
// A root that no layer has an entry for is root's, 0755, and was last changed at 1970-01-01, as
// umoci has it too: the same layers make the same tree whenever they are unpacked. (containerd
// passes over every entry of the root: there its mtime is that of the extraction.)
//
// Kept: type, mode with setuid and sticky bits, numeric owner, mtime, xattrs, hard links, holes of
// sparse files. Dropped: trusted.overlay.* xattrs (they would steer the kernel's merge), aufs' own
// .wh..wh.* files. Refused: names that lead out by "..", hard links to other layers, unknown types.
//
// Needs root: chown, mknod, trusted xattrs. Blocks. Errors name the layer and the entry:
// invalid_argument (the tar), resource_exhausted (limits, disk), data_loss (tar cut short), else
// the errno.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/content/byte_source.h"

namespace berth::image {

struct UnpackLimits {
  std::uint64_t entries_max = 4'000'000;
  std::uint64_t bytes_max = 64ull << 30;     // of file contents, holes not counted
  std::uint64_t file_size_max = 1ull << 40;  // with holes
};

struct UnpackStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

struct UnpackResult {
  UnpackStats stats;
  std::vector<std::string> implied;  // directories, parents before children; "" is the root
};

enum class LayerPlace { lowest, above_others };

// Into `directory`, open and empty. Reads `tar` up to the end of the archive, not of the stream.
// After an error the directory holds what was extracted so far: the caller throws it away.
// `layer` is for error texts.
Result<UnpackResult> unpack_layer(int directory, LayerPlace place, std::string_view layer,
                                  ByteSource& tar, const UnpackLimits& limits);

// `lowers` are the layers below, nearest first, each adopted. Blocks for a few microseconds for
// each directory and layer.
Status adopt_directories(int directory, const std::vector<UniqueFd>& lowers,
                         const std::vector<std::string>& implied, std::string_view layer);

}  // namespace berth::image
