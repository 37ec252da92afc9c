// SPDX-License-Identifier: Apache-2.0
// Which images there are. The records live in the durable store (core/store) and are read once at
// open; questions are answered from memory in a microsecond, so the start path may ask. Changes are
// one transaction each: on disk before they are visible, all or nothing, and they block for an
// fdatasync, so they are made on an offload thread. Thread-safe.
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
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/image/config/image_name.h"
#include "core/oci/image.h"
#include "core/oci/reference.h"
#include "core/store/state.h"

namespace berth::image {

enum class ImageKind { image, artifact };

struct LayerInfo {
  oci::Digest digest;  // of the compressed blob
  std::uint64_t size = 0;
  // Of an artifact only: what the manifest calls the file (the annotation
  // org.opencontainers.image.title, as a stranger wrote it; empty: none) and its media type.
  std::string title{};
  std::string media_type{};
};

// Everything that does not change about an image. Parsed once, shared by everyone who asks.
struct CachedImage {
  ImageKind kind = ImageKind::image;
  std::string id;  // "sha256:..."
  oci::Digest manifest_digest;
  oci::Image config;
  std::string config_json;
  std::vector<LayerInfo> layers;  // lowest first
  std::vector<std::string>
      chain_ids;           // lowest first; the last one is a container's parent snapshot
  std::uint64_t size = 0;  // configuration and compressed layers, in bytes
  // Of an artifact only.
  std::string artifact_type;
  oci::Digest artifact_config;
  std::map<std::string, std::string> annotations;

  bool is_artifact() const { return kind == ImageKind::artifact; }
};

struct ImageEntry {
  // With the manifest that the name stands for by which it was found; else with one of `manifests`.
  std::shared_ptr<const CachedImage> image;
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest", sorted
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:...", sorted
  // What each of those names stands for: the same image, with its manifest and its layers' blobs.
  std::map<std::string, std::shared_ptr<const CachedImage>> manifests{};
  bool pinned = false;  // not to be removed to make room
  // By which of its names a lookup found it; none: by its id, or it was listed.
  std::optional<oci::Reference> found_by{};
};

// Whether an image's files are known to be on disk. A pull does not wait for the disk: it records
// the image with the mark `later`, has everything written behind, and takes the mark away. Should
// the power fail first, the files may be incomplete: a store that is opened after another boot
// drops images with a mark. An image that is there already and has no mark is not put at risk by
// another pull of it: what that one stored is on disk before anything is recorded.
// `again` is `later` for a pull that had to unpack layers: its image, should it be there already,
// was not whole, and gets a mark all the same.
enum class Settling { done, later, again };

// What a finished pull adds.
struct NewImage {
  oci::Reference
      reference;  // its tag (when it has one) and its repository with manifest_digest are added
  oci::Digest manifest_digest;
  // The digest that was asked for or that the tag named: the index's, or the manifest's itself.
  oci::Digest root_digest;
  std::string config_json;
  std::vector<LayerInfo> layers;
  Settling settling = Settling::done;
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
  Settling settling = Settling::done;
  std::function<Status()> sync{};
};

// Every blob that must stay as long as the image does: the documents of each of its manifests, and
// for an image whose layers were kept compressed, those; for an artifact all it consists of.
std::vector<oci::Digest> needed_blobs(const ImageEntry& entry);

class ImageStore {
 public:
  // `state` is borrowed and must be durable. A record that cannot be understood is quarantined
  // there and the image is not listed; a later pull brings it back. So does one of an image that
  // was not settled when the node went down: `boot_id` tells boots apart.
  static Result<std::unique_ptr<ImageStore>> open(store::State& state);
  static Result<std::unique_ptr<ImageStore>> open(store::State& state, std::string boot_id);

  // not_found names the image and where it was looked for. invalid_argument: the beginning of
  // several ids. The name's refusal, when it has one and is no id either.
  Result<ImageEntry> resolve(const ImageName& name) const;
  // The same for who expects absence; nothing has a name that is none, or that is refused.
  Result<std::optional<ImageEntry>> find(const ImageName& name) const;
  std::vector<ImageEntry> list() const;

  // Returns the image id. Adding what is there already writes nothing.
  Result<std::string> add(NewImage image);
  Result<std::string> add_artifact(NewArtifact artifact);
  // Gives the image that `name` stands for one more name, `target`'s tag; a tag of another image
  // moves. Returns the image id. invalid_argument: `target` has a digest or no tag.
  Result<std::string> tag(const ImageName& name, const oci::Reference& target);
  // A tag takes away that tag, and with the last tag of a repository its digests too; a digest
  // reference takes away that reference while a tag is left, else the same; an id takes away every
  // reference. Without a reference the image is gone. Absent, as for find: fine, false. Blobs and
  // layers stay until Puller::sweep.
  Result<bool> remove(const ImageName& name);
  // A pin lasts as long as the image. not_found.
  Status pin(const std::string& id, bool pinned);

  // The marks of images recorded with Settling::later. The caller puts the files on disk that those
  // images had when it asked, and then says settled(): a mark that was made anew meanwhile, because
  // the image was removed and came again or got another name, stays.
  struct Mark {
    std::string id;
    std::uint64_t generation = 0;
  };
  std::vector<Mark> unsettled() const;
  Status settled(const std::vector<Mark>& marks);

 private:
  // A name and what it stands for.
  using References = std::map<std::string, std::shared_ptr<const CachedImage>>;
  struct Record {
    std::shared_ptr<const CachedImage> image;  // with the manifest that came first
    References references;
    bool pinned = false;
    std::uint64_t generation = 0;  // of its mark; 0: settled
  };

  ImageStore(store::State& state, std::string boot_id)
      : state_(&state), boot_id_(std::move(boot_id)) {}
  // An image that may be new, and where its record goes.
  struct Change {
    std::shared_ptr<const CachedImage> image;
    store::Table table;
    std::string record;
    std::set<std::string> references;
    Settling settling = Settling::done;
    std::function<Status()> sync{};
  };

  Status load();
  Status load_marks();
  Status load_table(store::Table table);
  Result<References> load_manifests();
  Status load_references(const References& manifests);
  Result<std::string> put(Change change);
  static bool use_known(const Record& record, Change& wanted, std::string& value);
  struct Found {
    std::string id;
    std::optional<oci::Reference> reference;
  };
  // Caller holds mutex_.
  Result<std::optional<Found>> look_up(const ImageName& name) const;
  ImageEntry entry(const Record& record) const;
  static std::shared_ptr<const CachedImage> same_manifest(const Record& record,
                                                          const CachedImage& image);
  static std::set<std::string> references_to_remove(const Record& record, const Found& found);

  store::State* state_;
  std::string boot_id_;
  std::mutex change_;             // one change at a time; taken before `mutex_`
  mutable std::mutex mutex_;      // the maps; held for lookups only, never over a write to disk
  std::uint64_t generation_ = 0;  // the last mark's
  std::map<std::string, Record, std::less<>> images_;           // by id
  std::map<std::string, std::string, std::less<>> references_;  // reference -> id
};

}  // namespace berth::image
