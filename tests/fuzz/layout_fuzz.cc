// SPDX-License-Identifier: Apache-2.0
// The documents in an archive. A mutation of a document changes its digest, so mutations of a
// complete archive are rejected at index.json. Therefore the input consists of the documents only:
//
//   DOCUMENT 0x1f DOCUMENT 0x1f ... LAST
//
// The last is index.json, or manifest.json if it begins with '['. The others are blobs with their
// correct digests. In a later document, $0 to $9 are replaced by the digests of earlier ones, %0 to
// %9 by their sizes and &0 to &9 by their names in the archive.
#include <string>
#include <vector>

#include "core/oci/digest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/loaded_archive.h"
#include "tests/fuzz/tar_input.h"

namespace {

struct Blob {
  std::string digest;
  std::string size;
  std::string name;
};

std::string filled_in(std::string_view text, const std::vector<Blob>& blobs) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t number = i + 1 < text.size() ? std::size_t(text[i + 1] - '0') : 10;
    if (number >= blobs.size() || std::string_view("$%&").find(text[i]) == std::string::npos) {
      out += text[i];
      continue;
    }
    const Blob& blob = blobs[number];
    out += text[i] == '$' ? blob.digest : text[i] == '%' ? blob.size : blob.name;
    ++i;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = berth::fuzz::text_of(data, size);
  std::vector<Blob> blobs;
  std::string archive;
  for (;;) {
    const std::size_t end = rest.find('\x1f');
    const std::string bytes = filled_in(rest.substr(0, end), blobs);
    if (bytes.size() > (1u << 20)) return 0;
    if (end == std::string_view::npos || blobs.size() == 10) {
      const bool is_docker = bytes.starts_with("[");
      archive += berth::fuzz::tar_member(is_docker ? "manifest.json" : "index.json", bytes);
      break;
    }
    const berth::oci::Digest digest = berth::oci::digest_of(bytes);
    const std::string name = "blobs/sha256/" + std::string(digest.hex());
    // Equal documents are one blob.
    if (archive.find(name) == std::string::npos) archive += berth::fuzz::tar_member(name, bytes);
    blobs.push_back({digest.text(), std::to_string(bytes.size()), name});
    rest.remove_prefix(end + 1);
  }
  archive.append(2 * berth::fuzz::kTarBlock, '\0');
  berth::fuzz::load_and_check(archive);
  return 0;
}
