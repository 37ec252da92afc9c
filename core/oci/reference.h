// SPDX-License-Identifier: Apache-2.0
// A reference is what people write to name an image: "busybox", "10.0.0.1:5000/team/app:1.2",
// "app@sha256:...". The grammar is that of the distribution project; the normal form is Docker's:
// "busybox" is docker.io/library/busybox:latest.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/oci/digest.h"

namespace berth::oci {

struct Reference {
  std::string domain;  // "docker.io", "localhost:5000", "[::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // empty only when there is a digest
  Digest digest;       // empty: none; when there is one it decides, and the tag means nothing

  std::string repository() const { return domain + "/" + path; }
  // "docker.io/library/busybox:latest"; empty without a tag.
  std::string tagged() const { return tag.empty() ? std::string() : repository() + ":" + tag; }
  // "docker.io/library/busybox@sha256:..."
  std::string with_digest(const Digest& of) const { return repository() + "@" + of.text(); }
  // The normal form of the whole.
  std::string text() const;
  // What a registry is asked for: the digest, else the tag.
  const std::string& manifest_name() const { return digest.empty() ? tag : digest.text(); }
  // HOST[:PORT] that serves `domain`; docker.io is served by registry-1.docker.io.
  std::string registry_host() const;
};

// invalid_argument quotes the reference (shortened) and says what is wrong with it.
Result<Reference> parse_reference(std::string_view text);

}  // namespace berth::oci
