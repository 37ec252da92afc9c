// SPDX-License-Identifier: Apache-2.0
// Pushes an image from the content store (OCI distribution-spec 1.1, "push"): first the blobs, each
// skipped if the registry has it, mounted from another repository of the registry, or sent; then
// the manifests, the named one last, so that the name never stands for an incomplete image.
//
//   HEAD blob                        200: the registry has it
//   POST uploads/?mount=..&from=..   201: mounted
//                                    202: PUT Location&digest=..
//
// A failed upload starts again from the beginning. Files are read on the transfer thread, usually
// from the page cache. The home ring's thread only.
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
  AuthConfig auth;        // as the CRI gives it
  oci::Digest manifest;   // in the content store: a manifest, or an index with all its manifests
  // Repositories of the target's registry whose blobs may be mounted: "library/busybox".
  std::vector<std::string> mount_from;
};

// Progress, readable on any thread while the push runs. Blobs are appended before `blobs_known`.
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
// failed_precondition with the digest of a blob that is not in the store (compressed layers may
// have been removed).
Task<PushResult> push_image(RegistryClient& client, ContentStore& content, PushRequest request,
                            PushProgress& progress);

}  // namespace berth::image
