// SPDX-License-Identifier: Apache-2.0
// The Puller brings images onto the node and removes them:
//
//   resolve name -> manifest (platform of an index) -> configuration -> layers -> record
//                                                       each: fetch, verify, inflate, verify,
//                                                       extract
//
// Promises. Nothing is visible before it is verified: blobs by digest, layers by diff_id, and the
// image by one record, which is written last. A pull that fails or is killed leaves no image, no
// partial layer and no reference; its files are removed by sweep() or used by the next pull.
// However many pulls need the same blob or the same layer at once, one works on it and the others
// wait for it. All pulls together use `memory_max` for buffers, whatever the size of the images.
//
// The ring's thread only. Blocking work runs on threads of the Puller's own, so
// a pull never delays a container's start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/image/config/options.h"
#include "core/image/content/content.h"
#include "core/image/pull/layer_store.h"
#include "core/image/pull/leases.h"
#include "core/image/registry/auth.h"
#include "core/image/store/image_store.h"
#include "core/oci/image.h"
#include "core/task/task.h"

namespace berth {
class Ring;
}

namespace berth::image {

class RegistryClient;

struct PullOptions {
  RegistryOptions registry;
  unsigned parallel_fetches = 3;  // of one pull
  // For buffers and decoders of all pulls together. A zstd layer whose window does not fit into
  // three quarters of it is refused.
  std::size_t memory_max = 64u << 20;
  // A layer that inflates to more than this, or to more than inflate_ratio_max times its compressed
  // size once beyond the grace, is refused.
  std::uint64_t layer_size_max = 64ull << 30;
  std::uint64_t inflate_ratio_max = 200;
  std::uint64_t inflate_ratio_grace = 256ull << 20;
  // Blobs and layers are written to disk after a pull, and the image is marked until then: if the
  // power fails first, the image is gone at the next start instead of incomplete
  // (store/image_store.h). Off: nothing is synced or marked, for stores that do not outlive the
  // boot.
  bool durable = true;
  // On: an image can be pushed and saved, so its compressed layers are kept, even when its trees
  // came from other images. Off: they are removed once the image is extracted, and a blob that
  // another image shares is fetched again for it.
  bool keep_layer_blobs = true;
};

class PullWatch;

struct PullRequest {
  std::string reference;
  AuthConfig auth;
  oci::Platform platform = oci::host_platform();
  std::shared_ptr<PullWatch> watch;  // may be null
};

// For `berth image load`: the manifest and every blob of it are in the content store, kept by a
// Puller::Lease.
struct LocalImage {
  std::vector<oci::Reference> references;
  oci::Digest manifest_digest;  // of an image or an artifact, not of an index
};

struct PullResult {
  std::string image_id;
  oci::Digest root_digest;         // of the name at the registry
  std::uint64_t pulled_bytes = 0;  // transferred by this pull; 0 when everything was there
};

struct LayerProgress {
  enum class Stage { waiting, fetching, fetched, extracting, done };
  oci::Digest digest;
  std::uint64_t size = 0;
  std::uint64_t fetched = 0;
  Stage stage = Stage::waiting;
};

struct Job;

// The progress of one pull while it runs. The ring's thread only.
class PullWatch {
 public:
  // Empty before the manifest is known and after the end.
  std::vector<LayerProgress> layers() const;

 private:
  friend class Puller;
  std::weak_ptr<Job> job_;
};

class Puller {
 public:
  // Everything is borrowed and outlives the Puller.
  Puller(Ring& ring, ContentStore& content, ImageStore& images, LayerStore& layers, Log& log,
         PullOptions options);
  ~Puller();

  // Errors: invalid_argument (the reference), not_found (no such image or platform),
  // unauthenticated, permission_denied, unavailable (registry), data_loss (a digest is wrong),
  // resource_exhausted.
  Task<PullResult> pull(PullRequest request);

  // Unpacks what is missing, verifies it, and records the image under every reference. Errors as
  // for pull; not_found: a blob is missing.
  Task<PullResult> add_local(LocalImage image);

  // Keeps blobs from sweeps. After the last lease a sweep removes what was kept only by leases. The
  // Puller outlives it.
  class [[nodiscard]] Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : puller_(std::exchange(other.puller_, nullptr)),
          everything_(other.everything_),
          keys_(std::move(other.keys_)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(puller_, other.puller_);
      std::swap(everything_, other.everything_);
      keys_ = std::move(other.keys_);
      return *this;
    }
    ~Lease();
    // For work that may leave blobs without an image.
    void sweep_afterwards() noexcept;

   private:
    friend class Puller;
    Lease(Puller& puller, bool everything);
    Puller* puller_ = nullptr;
    bool everything_ = false;
    Leases::Lease keys_;
  };
  // No sweep runs meanwhile: for blobs that are written before a record names them. Keep it short,
  // and never wait for a registry or a client with it.
  Task<Lease> lease_everything();
  // The blobs of images that are read, for any time; the images may be removed meanwhile.
  Task<Lease> lease(std::vector<ImageEntry> images);

  // ImageStore::remove on an offload thread, then sweep(). False: there was no such image.
  Task<bool> remove(ImageName name);
  // Removes blobs and layers that no image, no running pull and no lease needs. Layers still used
  // by a container stay until a later sweep. Called at start, after removals and failed pulls.
  Task<void> sweep();

  // Waits until every image pulled so far is on disk, or a sync has failed.
  Task<void> synced();

  // The same client of registries for pushing; lives as long as the Puller.
  RegistryClient& registries();

  // Cancels running pulls and waits for them.
  Task<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::image
