// SPDX-License-Identifier: Apache-2.0
// Pushing an image out of the content store (OCI distribution-spec 1.1, "push"): each blob is asked
// for, mounted from another repository of the same registry where it may be there, or sent; then
// the manifests, the one with the name last, so that the name never stands for something
// incomplete.
//
//   HEAD blob -> 200: there
//   POST uploads/?mount=..&from=.. -> 201: mounted      202: Location -> PUT Location&digest=..
//
// A failed upload begins again: what a registry keeps of half an upload is not relied on. Files are
// read on the transfer thread, from the page cache as a rule. The home ring's thread only.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/image/content/content.h"
#include "core/image/registry/auth.h"
#include "core/oci/reference.h"
#include "core/task/task.h"

namespace berth::image {

class RegistryClient;

struct PushRequest {
  oci::Reference target;  // under its tag, or its digest, which must then be `manifest`
  AuthConfig auth;        // the CRI's, as it came
  oci::Digest manifest;   // in the content store: a manifest, or an index with all it names
  // Repositories of the target's registry whose blobs may be mounted: "library/busybox".
  std::vector<std::string> mount_from;
};

// Read on any thread while the push runs. Grows at the end only, before `blobs_known`.
struct PushProgress {
  enum class Stage { waiting, sending, sent, mounted, present };
  struct Blob {
    oci::Digest digest;
    std::uint64_t size = 0;
    std::atomic<std::uint64_t> sent{0};
    std::atomic<Stage> stage{Stage::waiting};
  };
  std::deque<Blob> blobs;
  std::atomic<bool> blobs_known{false};
};

struct PushResult {
  oci::Digest digest;
  std::uint64_t pushed_bytes = 0;
  unsigned blobs_pushed = 0;
  unsigned blobs_mounted = 0;
  unsigned blobs_present = 0;
};

// Everything is borrowed until the task has ended; `content` is read on offload threads, and
// nothing may remove the image's blobs meanwhile. Errors: those of RegistrySession, and
// failed_precondition naming a blob that is not in the store (compressed layers may have been
// dropped).
Task<PushResult> push_image(RegistryClient& client, ContentStore& content, PushRequest request,
                            PushProgress& progress);

}  // namespace berth::image
