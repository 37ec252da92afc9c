// SPDX-License-Identifier: Apache-2.0
#include "cri/ids.h"

#include <errno.h>
#include <sys/random.h>

namespace berth::cri {

namespace {

constexpr std::size_t kIdBytes = 32;
constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

Result<std::string> make_id() {
  unsigned char bytes[kIdBytes];
  // getrandom(2): requests of up to 256 bytes are never short and never interrupted once seeded.
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
    return sys_error(errno, "getrandom");
  }
  std::string id;
  id.reserve(2 * kIdBytes);
  for (const unsigned char byte : bytes) {
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

bool is_id(std::string_view text) {
  return text.size() == 2 * kIdBytes && text.find_first_not_of(kDigits) == std::string_view::npos;
}

}  // namespace berth::cri
