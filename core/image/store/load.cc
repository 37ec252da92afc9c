// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/load.h"

#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "core/image/store/record.h"

namespace berth::image {
namespace {

// Manifest digest -> the image with that manifest, for all but the first manifest of an image.
using Manifests = std::map<std::string, ImageIndex::ImagePtr>;

Status load_table(store::State& state, store::Table table, ImageIndex& index) {
  const bool artifacts = table.name == kArtifacts.name;
  std::map<std::string, std::string> unreadable;  // id -> why
  TRY_(state.for_each(table, [&](std::string_view id, std::string_view record) {
    Result<std::shared_ptr<const CachedImage>> image =
        artifacts ? decode_artifact(id, record) : decode_image(id, record);
    if (image.ok()) {
      index.add(*std::move(image));
    } else {
      unreadable.emplace(id, image.error().message());
    }
    return true;
  }));
  for (const auto& [id, reason] : unreadable) TRY_(state.quarantine(table, id, reason));
  return {};
}

// Quarantines records that cannot be parsed; load_references() then erases their names.
Result<Manifests> load_manifests(store::State& state, const ImageIndex& index) {
  Manifests manifests;
  std::map<std::string, std::string> unreadable;
  TRY_(state.for_each(kImageManifests, [&](std::string_view key, std::string_view record) {
    Result<oci::Digest> digest = oci::Digest::parse(key);
    Result<ManifestRecord> manifest = decode_manifest(record);
    if (!digest.ok() || !manifest.ok()) {
      unreadable.emplace(key, (digest.ok() ? manifest.error() : digest.error()).message());
      return true;
    }
    const ImageIndex::Record* const found = index.find(manifest->id);
    if (found == nullptr) return true;  // its image was removed
    const CachedImage& image = *found->image;
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
  for (const auto& [key, why] : unreadable) TRY_(state.quarantine(kImageManifests, key, why));
  return manifests;
}

// Erases names of images or manifests that are absent, and manifests without a name.
Status load_references(store::State& state, const Manifests& manifests, ImageIndex& index) {
  std::vector<std::string> dangling;
  std::set<std::string> unnamed;
  TRY_(state.for_each(kImageManifests, [&](std::string_view key, std::string_view) {
    unnamed.emplace(key);
    return true;
  }));
  TRY_(state.for_each(kImageReferences, [&](std::string_view reference, std::string_view value) {
    const std::size_t blank = value.find(' ');
    const std::string id(value.substr(0, blank));
    const ImageIndex::Record* const image = index.find(id);
    const auto manifest = blank == value.npos
                              ? manifests.end()
                              : manifests.find(std::string(value.substr(blank + 1)));
    const bool other = blank != value.npos;
    if (image == nullptr || (other && manifest == manifests.end())) {
      dangling.emplace_back(reference);
      return true;
    }
    if (other) unnamed.erase(manifest->first);
    index.set_reference(id, std::string(reference), other ? manifest->second : image->image);
    return true;
  }));
  if (dangling.empty() && unnamed.empty()) return {};
  return state.write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& reference : dangling) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kImageReferences, reference));
    }
    for (const std::string& manifest : unnamed) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kImageManifests, manifest));
    }
    return {};
  });
}

Status load_marks(const store::State& state, ImageIndex& index) {
  TRY_(state.for_each(kUnsyncedImages, [&](std::string_view id, std::string_view) {
    if (index.find(id) != nullptr) index.mark(std::string(id));
    return true;
  }));
  return state.for_each(kPinnedImages, [&](std::string_view id, std::string_view) {
    if (index.find(id) != nullptr) index.set_pinned(std::string(id), true);
    return true;
  });
}

}  // namespace

Result<ImageIndex> load_images(store::State& state) {
  ImageIndex index;
  TRY_(load_table(state, kImages, index));
  TRY_(load_table(state, kArtifacts, index));
  TRY(const Manifests manifests, load_manifests(state, index));
  TRY_(load_references(state, manifests, index));
  TRY_(load_marks(state, index));
  return index;
}

Result<std::vector<std::string>> marked_before(const store::State& state,
                                               const std::string& boot_id) {
  std::vector<std::string> ids;
  TRY_(state.for_each(kUnsyncedImages, [&](std::string_view id, std::string_view marked_by) {
    if (marked_by != boot_id) ids.emplace_back(id);
    return true;
  }));
  return ids;
}

}  // namespace berth::image
