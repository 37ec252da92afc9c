// SPDX-License-Identifier: Apache-2.0
// How much memory a stranger's JSON will take, before any is taken for it. Four megabytes of "["
// are three hundred once they are parsed; of a document as people write it, they are ten.
#pragma once

#include <string_view>

#include "core/base/result.h"

namespace berth::oci {

// invalid_argument, beginning with `kind`: nested deeper than 64, or more than 262,144 values. Text
// that is no JSON may pass: the parser refuses it.
Status check_json_shape(const char* kind, std::string_view text);

}  // namespace berth::oci
