// SPDX-License-Identifier: Apache-2.0
// The names in the headers of one tar entry, byte for byte. libarchive treats names in pax headers
// as text: it composes decomposed Unicode and surrogate pairs (CESU-8), so that two files may
// become one. File names are bytes, so the bytes of the record are used.
//
// If several headers name the same entry, this follows Go's archive/tar, which docker, containerd,
// podman and umoci use: the last pax header counts, but a GNU long name has precedence.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

constexpr std::size_t kTarBlock = 512;

struct RawNames {
  // Absent: the name is in the entry's own header, which libarchive does not change.
  std::optional<std::string> name;
  std::optional<std::string> target;  // of a link
};

// `headers` are the bytes before the contents of an entry: extended headers with their bodies, then
// the entry's own. invalid_argument: a pax record is malformed, or a name has a NUL.
Result<RawNames> read_raw_names(std::string_view headers);

}  // namespace berth::image
