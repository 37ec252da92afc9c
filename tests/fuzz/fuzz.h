// SPDX-License-Identifier: Apache-2.0
// What every fuzz target has: its input as text, and a way to say that a promise was broken. A
// target that only waits for crashes misses most; each checks what its parser's header promises of
// what it accepts.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace berth::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// libFuzzer keeps the input and its own trace.
inline void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Errors go into logs and to users: one line, whatever the input was.
inline void promise_one_line(std::string_view message) {
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    promise(byte >= ' ' && byte != 127, "an error has no control characters");
  }
}

}  // namespace berth::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
