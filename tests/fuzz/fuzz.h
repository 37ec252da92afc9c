// SPDX-License-Identifier: Apache-2.0
// Shared by all fuzz targets: the input as text, and a check of guarantees. A target that only
// detects crashes misses most faults; each target also checks the guarantees in the header of its
// parser for accepted input.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace berth::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Aborts if `kept` is false; libFuzzer then stores the input and prints a stack trace.
inline void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Errors are written to logs and shown to users, so they must be one line for any input.
inline void promise_one_line(std::string_view message) {
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    promise(byte >= ' ' && byte != 127, "an error has no control characters");
  }
}

}  // namespace berth::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
