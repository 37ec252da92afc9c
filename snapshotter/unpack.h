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
// Kept: type, mode with setuid and sticky bits, numeric owner, mtime, xattrs, hard links, holes of
// sparse files. Dropped: trusted.overlay.* xattrs (they would steer the kernel's merge), aufs' own
// .wh..wh.* files. Refused: names with "..", hard links to other layers, unknown types.
//
// Needs root: chown, mknod, trusted xattrs. Blocks. Errors name the layer and the entry:
// invalid_argument (the tar), resource_exhausted (limits, disk), data_loss (tar cut short), else
// the errno.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/result.h"
#include "core/image/byte_source.h"
#include "core/image/layer_store.h"

namespace berth::snapshotter {

struct UnpackLimits {
  std::uint64_t entries_max = 4'000'000;
  std::uint64_t bytes_max = 64ull << 30;     // of file contents, holes not counted
  std::uint64_t file_size_max = 1ull << 40;  // with holes
};

struct UnpackStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

// Reads `tar` up to the end of the archive, not of the stream. After an error the directory holds
// what was extracted so far: the caller throws it away.
Result<UnpackStats> unpack_layer(const image::LayerTarget& target, std::string_view layer,
                                 image::ByteSource& tar, const UnpackLimits& limits);

}  // namespace berth::snapshotter
