// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/store_members.h"

#include <optional>
#include <set>
#include <utility>

namespace berth::image {

Status store_members(const ArchiveReader& archive, ContentStore& content,
                     const std::map<std::string, oci::Digest>& wanted) {
  std::set<std::string> names;
  for (const auto& [name, digest] : wanted) names.insert(name);
  // Members come one after the other, so at most one blob is being written.
  std::optional<Ingest> ingest;
  std::string current;
  const auto finish = [&]() -> Status {
    if (!ingest) return {};
    Status committed = ingest->commit();
    ingest.reset();
    if (!committed.ok()) return std::move(committed).error().with("archive: " + current);
    return {};
  };
  TRY_(archive.walk(names, [&](const std::string& name, std::string_view piece) -> Status {
    if (name != current) {
      TRY_(finish());
      current = name;
      // A pull of the same blob may be under way.
      TRY(Ingest begun, content.begin_unnamed(wanted.at(name), archive.size(name)));
      ingest.emplace(std::move(begun));
    }
    return ingest->write(piece.data(), piece.size());
  }));
  TRY_(finish());
  // The walk does not visit empty members.
  for (const auto& [name, digest] : wanted) {
    if (archive.size(name) == 0) TRY_(content.put(digest, ""));
  }
  return {};
}

}  // namespace berth::image
