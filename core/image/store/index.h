// SPDX-License-Identifier: Apache-2.0
// ImageIndex: the images and their names in memory, as the tables of the durable store have them.
// Knows nothing of the disk and takes no lock: ImageStore does both.
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
    ImagePtr image;                              // with the manifest that came first
    std::map<std::string, ImagePtr> references;  // a name and the manifest that it stands for
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
  // What goes when `found` is removed: the named reference; every reference for an id; and the
  // digests of a repository whose last tag goes.
  static std::set<std::string> references_to_remove(const Record& record, const Found& found);

  // Adds an image that is not there.
  void add(ImagePtr image);
  // Gives the image `id`, which is there, a name. The name leaves the image that had it.
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
