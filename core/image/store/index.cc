// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/index.h"

#include <iterator>
#include <utility>

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

}  // namespace

std::string key_of(const oci::Reference& reference) {
  return reference.digest.empty() ? reference.tagged() : reference.with_digest(reference.digest);
}

const ImageIndex::Record* ImageIndex::find(std::string_view id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : &found->second;
}

Result<std::optional<ImageIndex::Found>> ImageIndex::look_up(const ImageName& name) const {
  for (const oci::Reference& reference : name.references) {
    const auto found = ids_.find(key_of(reference));
    if (found != ids_.end()) return std::optional<Found>({found->second, reference});
  }
  if (name.id_prefix.empty()) return std::optional<Found>();
  const auto first = records_.lower_bound(name.id_prefix);
  if (first == records_.end() || !first->first.starts_with(name.id_prefix)) {
    return std::optional<Found>();
  }
  const auto second = std::next(first);
  if (second == records_.end() || !second->first.starts_with(name.id_prefix)) {
    return std::optional<Found>({first->first, std::nullopt});
  }
  return make_error(Errc::invalid_argument, "image id `" + name.text + "` begins several ids");
}

ImageEntry ImageIndex::entry(const Record& record) {
  ImageEntry entry;
  entry.image = record.image;
  bool named = record.references.empty();
  for (const auto& [reference, image] : record.references) {
    (is_digest_reference(reference) ? entry.repo_digests : entry.repo_tags).push_back(reference);
    named = named || image->manifest_digest == record.image->manifest_digest;
  }
  // The first manifest may have lost its last name. Then the next sweep deletes its blobs.
  if (!named) entry.image = record.references.begin()->second;
  entry.manifests = record.references;
  entry.pinned = record.pinned;
  return entry;
}

ImageIndex::ImagePtr ImageIndex::with_manifest(const Record& record, const oci::Digest& manifest) {
  if (record.image->manifest_digest == manifest) return record.image;
  for (const auto& [reference, image] : record.references) {
    if (image->manifest_digest == manifest) return image;
  }
  return nullptr;
}

std::set<std::string> ImageIndex::references_to_remove(const Record& record, const Found& found) {
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

void ImageIndex::add(ImagePtr image) {
  const std::string id = image->id;
  records_[id].image = std::move(image);
}

void ImageIndex::set_reference(const std::string& id, const std::string& reference,
                               ImagePtr manifest) {
  const auto before = ids_.find(reference);
  if (before != ids_.end()) records_[before->second].references.erase(reference);
  ids_[reference] = id;
  records_[id].references[reference] = std::move(manifest);
}

void ImageIndex::erase_reference(const std::string& id, const std::string& reference) {
  ids_.erase(reference);
  records_[id].references.erase(reference);
}

void ImageIndex::erase(const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return;
  for (const auto& [reference, image] : found->second.references) ids_.erase(reference);
  records_.erase(found);
}

void ImageIndex::set_pinned(const std::string& id, bool pinned) {
  records_[id].pinned = pinned;
}
void ImageIndex::mark(const std::string& id) {
  records_[id].generation = ++generation_;
}
void ImageIndex::clear_mark(const std::string& id) {
  records_[id].generation = 0;
}

}  // namespace berth::image
