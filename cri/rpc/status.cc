// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/status.h"

#include <string>

#include "core/base/units.h"

namespace berth::rpc {

grpc::Status to_grpc(const Error& error) {
  std::string text = error.message();
  constexpr std::size_t kTextBytesMax = 8_KiB;
  if (text.size() > kTextBytesMax) text.resize(kTextBytesMax);
  // A header may contain printable ASCII only; names in the message may contain any byte.
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return {static_cast<grpc::StatusCode>(error.code), text};
}

}  // namespace berth::rpc
