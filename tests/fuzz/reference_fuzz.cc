// SPDX-License-Identifier: Apache-2.0
#include "core/oci/reference.h"

#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = berth::oci::parse_reference(berth::fuzz::text_of(data, size));
  if (!parsed.ok()) {
    berth::fuzz::promise_one_line(parsed.error().message());
    return 0;
  }
  const berth::oci::Reference& reference = parsed.value();
  promise(!reference.domain.empty() && !reference.path.empty(), "there is a domain and a path");
  promise(!reference.tag.empty() || !reference.digest.empty(), "there is a tag or a digest");
  promise(reference.repository().size() <= 255, "a repository has at most 255 characters");
  const std::string text = reference.text();
  for (const char c : text) promise(c > ' ' && c < 127, "a reference is printable ASCII");
  promise(reference.path.find("..") == std::string::npos, "a path has no part `..`");
  const auto again = berth::oci::parse_reference(text);
  promise(again.ok() && again.value().text() == text, "the normal form is its own normal form");
  return 0;
}
