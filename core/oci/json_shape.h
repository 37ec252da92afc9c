// SPDX-License-Identifier: Apache-2.0
// A stranger's JSON before it is parsed: how much memory it will take, before any is taken for it
// (four megabytes of "[" are three hundred once they are parsed; of a document as people write it,
// they are ten), and text that is no Unicode.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::oci {

// invalid_argument, beginning with `kind`: nested deeper than 64, or more than 262,144 values. Text
// that is no JSON may pass: the parser refuses it.
Status check_json_shape(const char* kind, std::string_view text);

// With U+FFFD for what is no UTF-8 and for an escaped half of a surrogate pair, as Go reads it.
// Python writes such halves for bytes of a file name or a variable that are no UTF-8.
std::string with_valid_text(std::string_view text);

}  // namespace berth::oci
