// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/image_store.h"

#include "core/image/store/record.h"

namespace berth::image {
namespace {

// "…/busybox:latest" and "…/busybox@sha256:…" belong to "…/busybox".
std::string_view repository_of(std::string_view reference) {
  const std::size_t at = reference.find('@');
  if (at != std::string_view::npos) return reference.substr(0, at);
  return reference.substr(0, reference.rfind(':'));
}

bool is_digest_reference(std::string_view reference) {
  return reference.find('@') != std::string_view::npos;
}

// Under what a reference is stored: the digest decides, when there is one.
std::string key_of(const oci::Reference& reference) {
  return reference.digest.empty() ? reference.tagged() : reference.with_digest(reference.digest);
}

std::set<std::string> references_of(const oci::Reference& reference, const oci::Digest& root) {
  // An image from an archive may have no name at all.
  if (reference.path.empty()) return {};
  std::set<std::string> references = {reference.with_digest(root)};
  // Beside a digest nobody asked the registry what the tag means: here it may be another image's.
  if (!reference.tag.empty() && reference.digest.empty()) references.insert(reference.tagged());
  return references;
}

// A short name is not all that was looked for.
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

// What the name means could not be read, so absence would be a guess.
bool is_unknown(const ImageName& name) {
  return name.refusal.has_value() && !name.refusal->is(Errc::invalid_argument);
}

}  // namespace

std::vector<oci::Digest> needed_blobs(const ImageEntry& entry) {
  std::vector<oci::Digest> needed;
  const auto add = [&needed](const CachedImage& image) {
    needed.push_back(image.manifest_digest);
    for (const LayerInfo& layer : image.layers) needed.push_back(layer.digest);
  };
  const CachedImage& image = *entry.image;
  add(image);
  for (const auto& [name, other] : entry.manifests) {
    if (other->manifest_digest != image.manifest_digest) add(*other);
  }
  if (image.is_artifact()) {
    needed.push_back(image.artifact_config);
  } else if (Result<oci::Digest> config = oci::Digest::parse(image.id); config.ok()) {
    needed.push_back(*std::move(config));
  }
  // The index that a digest reference names.
  for (const std::string& reference : entry.repo_digests) {
    Result<oci::Digest> root = oci::Digest::parse(reference.substr(reference.find('@') + 1));
    if (root.ok()) needed.push_back(*std::move(root));
  }
  return needed;
}

Status ImageStore::load_table(store::Table table) {
  const bool artifacts = table.name == kArtifacts.name;
  std::map<std::string, std::string> unreadable;  // id -> why
  TRY_(state_->for_each(table, [&](std::string_view id, std::string_view record) {
    Result<std::shared_ptr<const CachedImage>> image =
        artifacts ? decode_artifact(id, record) : decode_image(id, record);
    if (image.ok()) {
      images_[std::string(id)].image = *std::move(image);
    } else {
      unreadable.emplace(id, image.error().message());
    }
    return true;
  }));
  for (const auto& [id, reason] : unreadable) TRY_(state_->quarantine(table, id, reason));
  return {};
}

Status ImageStore::load() {
  TRY_(load_table(kImages));
  TRY_(load_table(kArtifacts));
  TRY(const References manifests, load_manifests());
  return load_references(manifests);
}

// By digest. What cannot be understood is set aside; the names that stood for it go.
Result<ImageStore::References> ImageStore::load_manifests() {
  References manifests;
  std::map<std::string, std::string> unreadable;
  TRY_(state_->for_each(kImageManifests, [&](std::string_view key, std::string_view record) {
    Result<oci::Digest> digest = oci::Digest::parse(key);
    Result<ManifestRecord> manifest = decode_manifest(record);
    if (!digest.ok() || !manifest.ok()) {
      unreadable.emplace(key, (digest.ok() ? manifest.error() : digest.error()).message());
      return true;
    }
    const auto found = images_.find(manifest->id);
    if (found == images_.end()) return true;  // of an image that went
    const CachedImage& image = *found->second.image;
    Result<std::shared_ptr<const CachedImage>> made =
        make_image(*oci::Digest::parse(image.id), *std::move(digest), image.config_json,
                   std::move(manifest->layers));
    if (made.ok()) {
      manifests.emplace(key, *std::move(made));
    } else {
      unreadable.emplace(key, made.error().message());
    }
    return true;
  }));
  for (const auto& [key, why] : unreadable) TRY_(state_->quarantine(kImageManifests, key, why));
  return manifests;
}

// Takes away names of what is not there, and manifests that no name stands for.
Status ImageStore::load_references(const References& manifests) {
  std::vector<std::string> dangling;
  std::set<std::string> unnamed;
  TRY_(state_->for_each(kImageManifests, [&](std::string_view key, std::string_view) {
    unnamed.emplace(key);
    return true;
  }));
  TRY_(state_->for_each(kImageReferences, [&](std::string_view reference, std::string_view value) {
    const std::size_t blank = value.find(' ');
    const auto image = images_.find(value.substr(0, blank));
    const auto manifest = blank == value.npos
                              ? manifests.end()
                              : manifests.find(std::string(value.substr(blank + 1)));
    const bool other = blank != value.npos;
    if (image == images_.end() || (other && manifest == manifests.end())) {
      dangling.emplace_back(reference);
      return true;
    }
    if (other) unnamed.erase(manifest->first);
    image->second.references.emplace(reference, other ? manifest->second : image->second.image);
    references_.emplace(reference, image->first);
    return true;
  }));
  if (dangling.empty() && unnamed.empty()) return {};
  return state_->write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& reference : dangling) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kImageReferences, reference));
    }
    for (const std::string& manifest : unnamed) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kImageManifests, manifest));
    }
    return {};
  });
}

// References before the beginning of an id: a short name that is also hex digits means the
// repository.
Result<std::optional<ImageStore::Found>> ImageStore::look_up(const ImageName& name) const {
  for (const oci::Reference& reference : name.references) {
    const auto found = references_.find(key_of(reference));
    if (found != references_.end()) return std::optional<Found>({found->second, reference});
  }
  if (name.id_prefix.empty()) return std::optional<Found>();
  const auto first = images_.lower_bound(name.id_prefix);
  if (first == images_.end() || !first->first.starts_with(name.id_prefix)) {
    return std::optional<Found>();
  }
  const auto second = std::next(first);
  if (second == images_.end() || !second->first.starts_with(name.id_prefix)) {
    return std::optional<Found>({first->first, std::nullopt});
  }
  return make_error(Errc::invalid_argument, "image id `" + name.text + "` begins several ids");
}

ImageEntry ImageStore::entry(const Record& record) const {
  ImageEntry entry;
  entry.image = record.image;
  bool named = record.references.empty();
  for (const auto& [reference, image] : record.references) {
    (is_digest_reference(reference) ? entry.repo_digests : entry.repo_tags).push_back(reference);
    named = named || image->manifest_digest == record.image->manifest_digest;
  }
  // The manifest that came first may have lost its last name; its blobs go with the next sweep.
  if (!named) entry.image = record.references.begin()->second;
  entry.manifests = record.references;
  entry.pinned = record.pinned;
  return entry;
}

// What is known of the image with this manifest; null: nothing.
std::shared_ptr<const CachedImage> ImageStore::same_manifest(const Record& record,
                                                             const CachedImage& image) {
  if (record.image->manifest_digest == image.manifest_digest) return record.image;
  for (const auto& [reference, known] : record.references) {
    if (known->manifest_digest == image.manifest_digest) return known;
  }
  return nullptr;
}

Result<ImageEntry> ImageStore::resolve(const ImageName& name) const {
  TRY(std::optional<ImageEntry> found, find(name));
  if (found.has_value()) return *std::move(found);
  return name.refusal.has_value() ? *name.refusal : no_such_image(name);
}

Result<std::optional<ImageEntry>> ImageStore::find(const ImageName& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(std::optional<Found> found, look_up(name));
  if (!found.has_value()) {
    if (is_unknown(name)) return *name.refusal;
    return std::optional<ImageEntry>();
  }
  ImageEntry entry = this->entry(images_.find(found->id)->second);
  if (found->reference.has_value()) entry.image = entry.manifests.at(key_of(*found->reference));
  entry.found_by = std::move(found->reference);
  return std::optional<ImageEntry>(std::move(entry));
}

std::vector<ImageEntry> ImageStore::list() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<ImageEntry> all;
  all.reserve(images_.size());
  for (const auto& [id, record] : images_) all.push_back(entry(record));
  return all;
}

Result<std::string> ImageStore::add(NewImage added) {
  const oci::Digest id = oci::digest_of(added.config_json);
  Change change{.image = {}, .table = kImages, .record = {}, .references = {}};
  change.settling = added.settling;
  change.sync = std::move(added.sync);
  TRY(change.image,
      make_image(id, added.manifest_digest, std::move(added.config_json), std::move(added.layers)));
  change.record = encode_image(*change.image);
  change.references = references_of(added.reference, added.root_digest);
  return put(std::move(change));
}

Result<std::string> ImageStore::add_artifact(NewArtifact added) {
  Change change{.image = {}, .table = kArtifacts, .record = {}, .references = {}};
  change.settling = added.settling;
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

// An empty record: the image must be there already.
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
    const auto present = images_.find(id);
    known = present != images_.end();
    marked = known && present->second.generation != 0;
    if (known) new_manifest = use_known(present->second, wanted, value);
  }
  if (!known && wanted.record.empty()) return no_such_image(named_by_id(id));
  const bool later = wanted.settling != Settling::done;
  const bool mark = later && !marked && (!known || wanted.settling == Settling::again);
  // A new mark would put at risk what is on disk already.
  if (later && !marked && !mark && wanted.sync) TRY_(wanted.sync());
  const auto write = [&](store::WriteTxn& txn) -> Status {
    if (!known) TRY_(txn.put(wanted.table, id, wanted.record));
    if (mark) TRY_(txn.put(kUnsettledImages, id, boot_id_));
    if (new_manifest) {
      const std::string& digest = wanted.image->manifest_digest.text();
      TRY_(txn.put(kImageManifests, digest, encode_manifest(*wanted.image)));
    }
    for (const std::string& key : references) TRY_(txn.put(kImageReferences, key, value));
    return {};
  };
  if (!known || mark || !references.empty()) TRY_(state_->write(write));

  const std::lock_guard<std::mutex> lock(mutex_);
  Record& record = images_[id];
  if (!known) record.image = wanted.image;
  // What puts a marked image on disk just now has not seen the new documents.
  if (mark || (marked && later && wanted.sync)) record.generation = ++generation_;
  for (const std::string& key : references) {
    const auto moved = references_.find(key);
    if (moved != references_.end()) images_[moved->second].references.erase(key);
    references_[key] = id;
    record.references[key] = wanted.image;
  }
  return id;
}

// Takes out of `wanted` what `record` has already, and shares what is the same. `value` becomes
// that of the references that are left. True: the manifest is not recorded yet. A manifest without
// a name needs no record.
bool ImageStore::use_known(const Record& record, Change& wanted, std::string& value) {
  const oci::Digest manifest = wanted.image->manifest_digest;
  std::erase_if(wanted.references, [&](const std::string& key) {
    const auto there = record.references.find(key);
    return there != record.references.end() && there->second->manifest_digest == manifest;
  });
  const bool first = record.image->manifest_digest == manifest;
  if (!first) value += " " + manifest.text();
  std::shared_ptr<const CachedImage> known = same_manifest(record, *wanted.image);
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
    TRY(const std::optional<Found> found, look_up(name));
    if (!found.has_value()) {
      if (is_unknown(name)) return *name.refusal;
      return false;
    }
    id = found->id;
    const Record& record = images_.find(id)->second;
    going = references_to_remove(record, *found);
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
    TRY([[maybe_unused]] const bool unsettled, txn.erase(kUnsettledImages, id));
    return {};
  }));

  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& key : going) {
    references_.erase(key);
    images_[id].references.erase(key);
  }
  if (whole) images_.erase(id);
  return true;
}

// The named reference; everything for an id; and what would be left without purpose: digests of a
// repository whose last tag goes.
std::set<std::string> ImageStore::references_to_remove(const Record& record, const Found& found) {
  std::set<std::string> all;
  for (const auto& [reference, image] : record.references) all.insert(reference);
  if (!found.reference.has_value()) return all;
  const std::string key = key_of(*found.reference);
  std::set<std::string> going = {key};
  const std::string_view repository = repository_of(key);
  for (const std::string& other : all) {
    if (going.count(other) != 0) continue;
    if (repository_of(other) == repository && !is_digest_reference(other)) return {key};
  }
  for (const std::string& other : all) {
    if (repository_of(other) == repository) going.insert(other);
  }
  return going;
}

}  // namespace berth::image
