// SPDX-License-Identifier: Apache-2.0
// Extracts one image layer, an untrusted tar stream, into one directory and touches nothing outside
// it: every name is resolved by openat2 as if the directory were "/" (tree.h).
//
// Layer rules (OCI image-spec 1.1, layer.md), written in the form that overlayfs reads:
//   .wh.NAME          a character device 0:0 called NAME: removes NAME of the layers below
//   .wh..wh..opq      trusted.overlay.opaque=y on its directory: hides its contents below
// Neither affects entries of the same layer, in any order. In the lowest layer both have no effect
// and no file is made for them.
//
// The layers of an image may be unpacked at the same time: unpack_layer needs to know only whether
// there is a layer below. One step depends on the layers below: an implied directory (a parent
// without an entry of its own, and the root) must get their attributes, or adding a file would
// change the directory around it. unpack_layer lists them; adopt_directories sets the attributes,
// for one layer after the other from the lowest up:
//
//   unpack_layer(1)  unpack_layer(2)  unpack_layer(3)      in any order, on any threads
//   adopt_directories(2, {1})  then  adopt_directories(3, {2, 1})
//
// A root without an entry in any layer is root's, 0755, with the mtime 1970-01-01, as in umoci: the
// same layers always make the same tree. (containerd skips entries of the root; there its mtime is
// that of the extraction.)
//
// Kept: type, mode with setuid and sticky bits, numeric owner, mtime, xattrs, hard links, holes of
// sparse files. Dropped: trusted.overlay.* xattrs (they would steer the kernel's merge), aufs' own
// .wh..wh.* files. Refused: names above the root, hard links to other layers, unknown types.
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

// `directory` is open and empty. Reads `tar` to the end of the archive, not of the stream. After an
// error the directory has a part of the layer, and the caller removes it. `layer` is for error
// texts.
Result<UnpackResult> unpack_layer(int directory, LayerPlace place, std::string_view layer,
                                  ByteSource& tar, const UnpackLimits& limits);

// `lowers` are the layers below, nearest first; adopt_directories has run for each. Blocks for a
// few microseconds for each directory and layer.
Status adopt_directories(int directory, const std::vector<UniqueFd>& lowers,
                         const std::vector<std::string>& implied, std::string_view layer);

}  // namespace berth::image
