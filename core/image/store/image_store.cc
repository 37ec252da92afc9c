// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/image_store.h"

#include "core/image/store/boot_id.h"
#include "core/image/store/load.h"
#include "core/image/store/record.h"

namespace berth::image {
namespace {

std::set<std::string> references_of(const oci::Reference& reference, const oci::Digest& root) {
  // An image from an archive may have no name at all.
  if (reference.path.empty()) return {};
  std::set<std::string> references = {reference.with_digest(root)};
  // A tag beside a digest was not resolved at the registry, so it may belong to another image.
  if (!reference.tag.empty() && reference.digest.empty()) references.insert(reference.tagged());
  return references;
}

// For a short name the error lists the full names that were looked for.
Error no_such_image(const ImageName& name) {
  std::string text = "image `" + name.text.substr(0, 256) + "` is not here";
  const bool is_whole = name.references.size() == 1 && !is_short_name(name.text);
  if (!name.references.empty() && !is_whole) {
    text += "; looked for ";
    for (const oci::Reference& reference : name.references) {
      if (&reference != &name.references.front()) text += ", ";
      text += reference.text();
    }
  }
  return make_error(Errc::not_found, std::move(text));
}

// The name's configuration could not be read, so the image cannot be called absent.
bool is_unknown(const ImageName& name) {
  return name.refusal.has_value() && !name.refusal->is(Errc::invalid_argument);
}

}  // namespace

Result<std::unique_ptr<ImageStore>> ImageStore::open(store::State& state) {
  TRY(std::string boot_id, read_boot_id());
  return open(state, std::move(boot_id));
}

Result<std::unique_ptr<ImageStore>> ImageStore::open(store::State& state, std::string boot_id) {
  TRY(const std::vector<std::string> incomplete, marked_before(state, boot_id));
  std::unique_ptr<ImageStore> images(new ImageStore(state, std::move(boot_id)));
  TRY(images->index_, load_images(state));
  for (const std::string& id : incomplete) {
    TRY(const bool removed, images->remove(named_by_id(id)));
    // A mark of an image that is no longer there.
    if (!removed) {
      TRY([[maybe_unused]] const bool erased, state.erase(kUnsyncedImages, id));
    }
  }
  return images;
}

Result<ImageEntry> ImageStore::resolve(const ImageName& name) const {
  TRY(std::optional<ImageEntry> found, find(name));
  if (found.has_value()) return *std::move(found);
  return name.refusal.has_value() ? *name.refusal : no_such_image(name);
}

Result<std::optional<ImageEntry>> ImageStore::find(const ImageName& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(std::optional<ImageIndex::Found> found, index_.look_up(name));
  if (!found.has_value()) {
    if (is_unknown(name)) return *name.refusal;
    return std::optional<ImageEntry>();
  }
  ImageEntry entry = ImageIndex::entry(*index_.find(found->id));
  if (found->reference.has_value()) entry.image = entry.manifests.at(key_of(*found->reference));
  entry.found_by = std::move(found->reference);
  return std::optional<ImageEntry>(std::move(entry));
}

std::vector<ImageEntry> ImageStore::list() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<ImageEntry> all;
  all.reserve(index_.records().size());
  for (const auto& [id, record] : index_.records()) all.push_back(ImageIndex::entry(record));
  return all;
}

Result<std::string> ImageStore::add(NewImage added) {
  const oci::Digest id = oci::digest_of(added.config_json);
  Change change{.image = {}, .table = kImages, .record = {}, .references = {}};
  change.sync_state = added.sync_state;
  change.sync = std::move(added.sync);
  TRY(change.image,
      make_image(id, added.manifest_digest, std::move(added.config_json), std::move(added.layers)));
  change.record = encode_image(*change.image);
  change.references = references_of(added.reference, added.root_digest);
  return put(std::move(change));
}

Result<std::string> ImageStore::add_artifact(NewArtifact added) {
  Change change{.image = {}, .table = kArtifacts, .record = {}, .references = {}};
  change.sync_state = added.sync_state;
  change.sync = std::move(added.sync);
  TRY(change.image, decode_artifact(added.manifest_digest.text(), added.manifest_json));
  change.record = std::move(added.manifest_json);
  change.references = references_of(added.reference, added.root_digest);
  return put(std::move(change));
}

Result<std::string> ImageStore::tag(const ImageName& name, const oci::Reference& target) {
  if (target.tag.empty() || !target.digest.empty()) {
    return make_error(Errc::invalid_argument, "image reference `" + target.text() +
                                                  "` cannot be given: a tag is wanted, and no "
                                                  "digest");
  }
  TRY(const ImageEntry entry, resolve(name));
  Change change{.image = entry.image, .table = kImages, .record = {}, .references = {}};
  change.references = {target.tagged()};
  return put(std::move(change));
}

Result<std::string> ImageStore::put(Change wanted) {
  const std::lock_guard<std::mutex> change(change_);
  const std::string id = wanted.image->id;
  std::set<std::string>& references = wanted.references;
  bool known = false;
  bool marked = false;
  bool new_manifest = false;  // of an image that is known
  std::string value = id;     // of the references
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const ImageIndex::Record* const present = index_.find(id);
    known = present != nullptr;
    marked = known && present->generation != 0;
    if (known) new_manifest = use_known(*present, wanted, value);
  }
  if (!known && wanted.record.empty()) return no_such_image(named_by_id(id));
  const bool later = wanted.sync_state != SyncState::synced;
  const bool mark = later && !marked && (!known || wanted.sync_state == SyncState::again);
  // The image has no mark and gets none, so what this pull stored must be on disk first.
  if (later && !marked && !mark && wanted.sync) TRY_(wanted.sync());
  const auto write = [&](store::WriteTxn& txn) -> Status {
    if (!known) TRY_(txn.put(wanted.table, id, wanted.record));
    if (mark) TRY_(txn.put(kUnsyncedImages, id, boot_id_));
    if (new_manifest) {
      const std::string& digest = wanted.image->manifest_digest.text();
      TRY_(txn.put(kImageManifests, digest, encode_manifest(*wanted.image)));
    }
    for (const std::string& key : references) TRY_(txn.put(kImageReferences, key, value));
    return {};
  };
  if (!known || mark || !references.empty()) TRY_(state_->write(write));

  const std::lock_guard<std::mutex> lock(mutex_);
  if (!known) index_.add(wanted.image);
  // A sync that is in progress may have missed the new documents: its mark must not match.
  if (mark || (marked && later && wanted.sync)) index_.mark(id);
  for (const std::string& key : references) index_.set_reference(id, key, wanted.image);
  return id;
}

// Removes from `wanted` the references that `record` has already, and shares its image object if
// the manifest is the same. `value` is set to the stored value of the remaining references. True:
// the manifest has no record yet and needs one, since a reference names it.
bool ImageStore::use_known(const ImageIndex::Record& record, Change& wanted, std::string& value) {
  const oci::Digest manifest = wanted.image->manifest_digest;
  std::erase_if(wanted.references, [&](const std::string& key) {
    const auto there = record.references.find(key);
    return there != record.references.end() && there->second->manifest_digest == manifest;
  });
  const bool first = record.image->manifest_digest == manifest;
  if (!first) value += " " + manifest.text();
  ImageIndex::ImagePtr known = ImageIndex::with_manifest(record, manifest);
  if (known == nullptr) return !wanted.references.empty();
  wanted.image = std::move(known);
  return false;
}

Result<bool> ImageStore::remove(const ImageName& name) {
  const std::lock_guard<std::mutex> change(change_);
  std::string id;
  std::set<std::string> going;
  bool whole = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    TRY(const std::optional<ImageIndex::Found> found, index_.look_up(name));
    if (!found.has_value()) {
      if (is_unknown(name)) return *name.refusal;
      return false;
    }
    id = found->id;
    const ImageIndex::Record& record = *index_.find(id);
    going = ImageIndex::references_to_remove(record, *found);
    whole = going.size() == record.references.size();
  }
  TRY_(state_->write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& key : going) {
      TRY(const bool erased, txn.erase(kImageReferences, key));
      static_cast<void>(erased);
    }
    if (!whole) return {};
    TRY([[maybe_unused]] const bool image, txn.erase(kImages, id));
    TRY([[maybe_unused]] const bool artifact, txn.erase(kArtifacts, id));
    TRY([[maybe_unused]] const bool pin, txn.erase(kPinnedImages, id));
    TRY([[maybe_unused]] const bool mark, txn.erase(kUnsyncedImages, id));
    return {};
  }));

  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& key : going) index_.erase_reference(id, key);
  if (whole) index_.erase(id);
  return true;
}

Status ImageStore::pin(const std::string& id, bool pinned) {
  const std::lock_guard<std::mutex> change(change_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const ImageIndex::Record* const found = index_.find(id);
    if (found == nullptr) return no_such_image(named_by_id(id));
    if (found->pinned == pinned) return {};
  }
  if (pinned) {
    TRY_(state_->put(kPinnedImages, id, ""));
  } else {
    TRY([[maybe_unused]] const bool erased, state_->erase(kPinnedImages, id));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  index_.set_pinned(id, pinned);
  return {};
}

std::vector<ImageStore::Mark> ImageStore::unsynced() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Mark> marks;
  for (const auto& [id, record] : index_.records()) {
    if (record.generation != 0) marks.push_back({id, record.generation});
  }
  return marks;
}

Status ImageStore::mark_synced(const std::vector<Mark>& marks) {
  const std::lock_guard<std::mutex> change(change_);
  std::vector<std::string> ids;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Mark& mark : marks) {
      const ImageIndex::Record* const found = index_.find(mark.id);
      const bool same = found != nullptr && found->generation == mark.generation;
      if (same) ids.push_back(mark.id);
    }
  }
  if (ids.empty()) return {};
  TRY_(state_->write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& id : ids) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kUnsyncedImages, id));
    }
    return {};
  }));
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& id : ids) index_.clear_mark(id);
  return {};
}

}  // namespace berth::image
