// SPDX-License-Identifier: Apache-2.0
// The names in the headers of one tar entry, byte for byte. libarchive takes the names of pax
// headers for text: it turns decomposed Unicode and surrogate pairs (CESU-8) into composed UTF-8,
// so that two files become one. Names of files are bytes: what the record has is what is made.
//
// Where several headers name the same entry, the choice is that of Go's archive/tar, which docker,
// containerd, podman and umoci read with: the last pax header counts, and a GNU long name before
// it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

constexpr std::size_t kTarBlock = 512;

struct RawNames {
  // Absent: the entry's own header has it, which libarchive gives as it is.
  std::optional<std::string> name;
  std::optional<std::string> target;  // of a link
};

// `headers` is what stands before the contents of an entry: extended headers with their bodies,
// then the entry's own. invalid_argument: a pax record is malformed, or a name has a NUL.
Result<RawNames> read_raw_names(std::string_view headers);

}  // namespace berth::image
