// SPDX-License-Identifier: Apache-2.0
// ImageIndex: the images and their names in memory, as in the tables of the durable store. Not
// thread-safe, and writes nothing to disk: ImageStore owns it, locks it and writes the tables.
//
// Invariant: a reference is in `references` of the record of the image that it names, and of no
// other; `ids_` has the same pairs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/image/config/image_name.h"
#include "core/image/store/entry.h"

namespace berth::image {

class ImageIndex {
 public:
  using ImagePtr = std::shared_ptr<const CachedImage>;
  struct Record {
    ImagePtr image;                              // with its first manifest
    std::map<std::string, ImagePtr> references;  // name -> the image with that name's manifest
    bool pinned = false;
    std::uint64_t generation = 0;  // of the mark that says its files are not on disk; 0: none
  };
  using Records = std::map<std::string, Record, std::less<>>;  // by id
  struct Found {
    std::string id;
    std::optional<oci::Reference> reference;  // none: found by its id
  };

  const Records& records() const { return records_; }
  // Null: there is none. Valid until the image is erased.
  const Record* find(std::string_view id) const;
  // References are tried before the beginning of an id: a short name that is also hex digits means
  // the repository. invalid_argument: the text begins several ids.
  Result<std::optional<Found>> look_up(const ImageName& name) const;
  static ImageEntry entry(const Record& record);
  // The image with this manifest, of those that the record has; null: none.
  static ImagePtr with_manifest(const Record& record, const oci::Digest& manifest);
  // The references to erase when `found` is removed: the one by which it was found, or all of them
  // if it was found by id; and the digest references of a repository that loses its last tag.
  static std::set<std::string> references_to_remove(const Record& record, const Found& found);

  // Adds an image that is not there.
  void add(ImagePtr image);
  // Adds a name to the image `id`, which is there. Another image that had the name loses it.
  void set_reference(const std::string& id, const std::string& reference, ImagePtr manifest);
  void erase_reference(const std::string& id, const std::string& reference);
  void erase(const std::string& id);
  void set_pinned(const std::string& id, bool pinned);
  // Marks the image anew: a mark that was read before does not match any more.
  void mark(const std::string& id);
  void clear_mark(const std::string& id);

 private:
  Records records_;
  std::map<std::string, std::string, std::less<>> ids_;  // reference -> id
  std::uint64_t generation_ = 0;                         // the last mark's
};

// The text under which a reference is stored: the digest decides, when there is one.
std::string key_of(const oci::Reference& reference);

}  // namespace berth::image
