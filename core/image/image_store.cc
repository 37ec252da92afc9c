// SPDX-License-Identifier: Apache-2.0
#include "core/image/image_store.h"

#include "core/image/image_record.h"

namespace berth::image {
namespace {

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

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
std::string key_of(const Reference& reference) {
  return reference.digest.empty() ? reference.tagged() : reference.with_digest(reference.digest);
}

std::set<std::string> references_of(const Reference& reference, const oci::Digest& root) {
  // An image from an archive may have no name at all.
  if (reference.path.empty()) return {};
  std::set<std::string> references = {reference.with_digest(root)};
  if (!reference.tag.empty()) references.insert(reference.tagged());
  return references;
}

Error no_such_image(std::string_view name) {
  return make_error(Errc::not_found,
                    "image `" + std::string(name.substr(0, 256)) + "` is not here");
}

}  // namespace

std::vector<oci::Digest> needed_blobs(const ImageEntry& entry) {
  const CachedImage& image = *entry.image;
  std::vector<oci::Digest> needed = {image.manifest_digest};
  if (image.is_artifact()) {
    needed.push_back(image.artifact_config);
  } else if (Result<oci::Digest> config = oci::Digest::parse(image.id); config.ok()) {
    needed.push_back(*std::move(config));
  }
  for (const LayerInfo& layer : image.layers) needed.push_back(layer.digest);
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

  std::vector<std::string> dangling;
  TRY_(state_->for_each(kImageReferences, [&](std::string_view reference, std::string_view id) {
    const auto image = images_.find(id);
    if (image == images_.end()) {
      dangling.emplace_back(reference);
    } else {
      image->second.references.emplace(reference);
      references_.emplace(reference, id);
    }
    return true;
  }));
  if (dangling.empty()) return {};
  return state_->write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& reference : dangling) {
      TRY(const bool erased, txn.erase(kImageReferences, reference));
      static_cast<void>(erased);
    }
    return {};
  });
}

// A whole id, then a reference, then the beginning of an id: a short name that is also hex digits
// means the repository. Caller holds mutex_.
Result<std::string> ImageStore::resolve_id(std::string_view name) const {
  constexpr std::size_t kPrefixMin = 4;
  std::string_view hex = name;
  const bool marked = name.starts_with("sha256:");
  if (marked) hex.remove_prefix(7);
  const bool id_like = hex.size() >= kPrefixMin && hex.size() <= 64 && is_hex(hex);
  const std::string prefix = "sha256:" + std::string(hex.substr(0, 64));

  if (!marked && hex.size() != 64) {
    Result<Reference> reference = parse_reference(name);
    if (!reference.ok() && !id_like) return std::move(reference).error();
    const auto found = reference.ok() ? references_.find(key_of(*reference)) : references_.end();
    if (found != references_.end()) return found->second;
  }
  if (!id_like) return no_such_image(name);
  const auto first = images_.lower_bound(prefix);
  if (first == images_.end() || !first->first.starts_with(prefix)) return no_such_image(name);
  const auto second = std::next(first);
  if (second == images_.end() || !second->first.starts_with(prefix)) return first->first;
  return make_error(Errc::invalid_argument,
                    "image id `" + std::string(name) + "` begins several ids");
}

ImageEntry ImageStore::entry(const Record& record) const {
  ImageEntry entry;
  entry.image = record.image;
  for (const std::string& reference : record.references) {
    (is_digest_reference(reference) ? entry.repo_digests : entry.repo_tags).push_back(reference);
  }
  entry.pinned = record.pinned;
  return entry;
}

Result<ImageEntry> ImageStore::resolve(std::string_view name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  TRY(const std::string id, resolve_id(name));
  return entry(images_.find(id)->second);
}

std::optional<ImageEntry> ImageStore::find(std::string_view name) const {
  Result<ImageEntry> found = resolve(name);
  if (!found.ok()) return std::nullopt;
  return *std::move(found);
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
  TRY(change.image,
      make_image(id, added.manifest_digest, std::move(added.config_json), std::move(added.layers)));
  change.record = encode_image(*change.image);
  change.references = references_of(added.reference, added.root_digest);
  return put(std::move(change));
}

Result<std::string> ImageStore::add_artifact(NewArtifact added) {
  Change change{.image = {}, .table = kArtifacts, .record = {}, .references = {}};
  change.settling = added.settling;
  TRY(change.image, decode_artifact(added.manifest_digest.text(), added.manifest_json));
  change.record = std::move(added.manifest_json);
  change.references = references_of(added.reference, added.root_digest);
  return put(std::move(change));
}

Result<std::string> ImageStore::tag(std::string_view name, const Reference& target) {
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
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto present = images_.find(id);
    known = present != images_.end();
    for (auto it = references.begin(); known && it != references.end();) {
      it = present->second.references.count(*it) != 0 ? references.erase(it) : std::next(it);
    }
  }
  if (!known && wanted.record.empty()) return no_such_image(id);
  if (known && references.empty()) return id;
  const bool mark = !known && wanted.settling == Settling::later;
  TRY_(state_->write([&](store::WriteTxn& txn) -> Status {
    if (!known) TRY_(txn.put(wanted.table, id, wanted.record));
    if (mark) TRY_(txn.put(kUnsettledImages, id, boot_id_));
    for (const std::string& key : references) TRY_(txn.put(kImageReferences, key, id));
    return {};
  }));

  const std::lock_guard<std::mutex> lock(mutex_);
  Record& record = images_[id];
  if (!known) record.image = std::move(wanted.image);
  if (mark) record.unsettled = true;
  for (const std::string& key : references) {
    const auto moved = references_.find(key);
    if (moved != references_.end()) images_[moved->second].references.erase(key);
    references_[key] = id;
    record.references.insert(key);
  }
  return id;
}

Result<bool> ImageStore::remove(std::string_view name) {
  const std::lock_guard<std::mutex> change(change_);
  std::string id;
  std::set<std::string> going;
  bool whole = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Result<std::string> resolved = resolve_id(name);
    if (!resolved.ok()) {
      if (resolved.error().is(Errc::not_found)) return false;
      return std::move(resolved).error();
    }
    id = *std::move(resolved);
    const Record& record = images_.find(id)->second;
    going = references_to_remove(record, name);
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
std::set<std::string> ImageStore::references_to_remove(const Record& record,
                                                       std::string_view name) {
  Result<Reference> reference = parse_reference(name);
  const std::string key = reference.ok() ? key_of(*reference) : std::string();
  if (record.references.count(key) == 0) return record.references;  // named by id
  std::set<std::string> going = {key};
  const std::string_view repository = repository_of(key);
  for (const std::string& other : record.references) {
    if (going.count(other) != 0) continue;
    if (repository_of(other) == repository && !is_digest_reference(other)) return {key};
  }
  for (const std::string& other : record.references) {
    if (repository_of(other) == repository) going.insert(other);
  }
  return going;
}

}  // namespace berth::image
