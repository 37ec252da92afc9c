// SPDX-License-Identifier: Apache-2.0
// The images of the node. The records are in the durable store (core/store) and are read once at
// open; lookups are answered from memory in a microsecond, so the start path may do them. Each
// change is one transaction: on disk before it is visible, all or nothing. It blocks for an
// fdatasync, so it is made on an offload thread. Thread-safe.
//
// An image's id is the digest of its configuration. References point at it: "name:tag" and
// "name@manifest-digest". A tag that moves to another image leaves the old one without that tag.
// Several manifests may have the same configuration (other annotations, other compression): each
// reference records its own, and a lookup by that reference gives this manifest.
//
// An artifact (image-spec 1.1: a manifest with an artifactType, or whose config is no image
// configuration) is kept beside the images: it has names, a size and files, nothing is unpacked and
// nothing can be run. Its id is the digest of its manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/image/config/image_name.h"
#include "core/image/store/entry.h"
#include "core/image/store/index.h"
#include "core/oci/reference.h"
#include "core/store/state.h"

namespace berth::image {

// Whether an image's files are known to be on disk. A pull does not wait for the disk: it records
// the image with the mark `later`, syncs everything afterwards, and takes the mark away. Should
// the power fail first, the files may be incomplete: a store that is opened after another boot
// drops images with a mark. An image that is there already and has no mark is not put at risk by
// another pull of it: what that one stored is on disk before anything is recorded.
// `again` is `later` for a pull that had to unpack layers: its image, should it be there already,
// was not whole, and gets a mark all the same.
enum class SyncState { synced, later, again };

// What a finished pull adds.
struct NewImage {
  oci::Reference
      reference;  // its tag (when it has one) and its repository with manifest_digest are added
  oci::Digest manifest_digest;
  // The digest that was asked for or that the tag named: the index's, or the manifest's itself.
  oci::Digest root_digest;
  std::string config_json;
  std::vector<LayerInfo> layers;
  SyncState sync_state = SyncState::synced;
  // Puts on disk what this pull stored; called when the image is there already, and neither has a
  // mark nor gets one. Null: nothing was stored. Must not call the store.
  std::function<Status()> sync{};
};

// What a finished pull of an artifact adds; every blob of its manifest is in the content store.
struct NewArtifact {
  oci::Reference reference;
  oci::Digest manifest_digest;
  oci::Digest root_digest;
  std::string manifest_json;
  SyncState sync_state = SyncState::synced;
  std::function<Status()> sync{};
};

class ImageStore {
 public:
  // `state` is borrowed and must be durable. A record that cannot be understood is quarantined
  // there and the image is not listed; a later pull brings it back. An image whose files were not
  // on disk when the node went down is removed: `boot_id` tells boots apart.
  static Result<std::unique_ptr<ImageStore>> open(store::State& state);
  static Result<std::unique_ptr<ImageStore>> open(store::State& state, std::string boot_id);

  // not_found names the image and where it was looked for. invalid_argument: the beginning of
  // several ids. The name's refusal, when it has one and is no id either.
  Result<ImageEntry> resolve(const ImageName& name) const;
  // As resolve, but nullopt if the image is absent, or if the name is invalid.
  Result<std::optional<ImageEntry>> find(const ImageName& name) const;
  std::vector<ImageEntry> list() const;

  // Returns the image id. Adding what is there already writes nothing.
  Result<std::string> add(NewImage image);
  Result<std::string> add_artifact(NewArtifact artifact);
  // Adds the tag of `target` to the image of `name`. If another image has that tag, it moves.
  // Returns the image id. invalid_argument: `target` has a digest or no tag.
  Result<std::string> tag(const ImageName& name, const oci::Reference& target);
  // Removes one reference, by tag or by digest; with the last tag of a repository also its digest
  // references; by id all references. An image without references is removed. False: absent, as
  // for find. Blobs and layers stay until Puller::sweep.
  Result<bool> remove(const ImageName& name);
  // A pin lasts as long as the image. not_found.
  Status pin(const std::string& id, bool pinned);

  // The marks of images recorded with SyncState::later. The caller puts the files on disk that
  // those images had when it asked, and then calls mark_synced(): a mark that was made anew
  // meanwhile, because the image was removed and came again or got another name, stays.
  struct Mark {
    std::string id;
    std::uint64_t generation = 0;
  };
  std::vector<Mark> unsynced() const;
  Status mark_synced(const std::vector<Mark>& marks);

 private:
  // An image that may be new, and where its record goes.
  struct Change {
    std::shared_ptr<const CachedImage> image;
    store::Table table;
    std::string record;  // empty: the image must be there already
    std::set<std::string> references;
    SyncState sync_state = SyncState::synced;
    std::function<Status()> sync{};
  };

  ImageStore(store::State& state, std::string boot_id)
      : state_(&state), boot_id_(std::move(boot_id)) {}

  Result<std::string> put(Change change);
  static bool use_known(const ImageIndex::Record& record, Change& wanted, std::string& value);

  store::State* state_;
  std::string boot_id_;
  std::mutex change_;         // one change at a time; taken before `mutex_`
  mutable std::mutex mutex_;  // the index; held for lookups only, never over a write to disk
  ImageIndex index_;
};

}  // namespace berth::image
