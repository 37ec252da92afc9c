// SPDX-License-Identifier: Apache-2.0
// Reads an untrusted tar archive: its members by name. Names are only keys and never used as paths
// of the node.
//
// A plain tar or one compressed as a whole with gzip, xz or zstd. Each walk reads the file from its
// beginning; unwanted data is skipped by seeking. All calls block.
//
// A leading slash of a name is left out. A name that occurs twice is an error only when it is read.
//
// Errors: invalid_argument (no tar archive, a name that leads out of it by "..", is read and occurs
// twice, or is longer than PATH_MAX, a link in a circle, a member of another size than its header
// says), resource_exhausted (too many members, a document that is too large, a bomb), data_loss
// (cut short), cancelled.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/result.h"

struct archive_entry;

namespace berth::image {

struct ArchiveLimits {
  std::size_t members_max = 100'000;       // also directories and whatever else has a header
  std::uint64_t bytes_max = 256ull << 30;  // of all members, inflated
  std::size_t names_max = 16 << 20;        // bytes of all names, which are kept in memory
  // Bytes of members for each byte of the file, looked at once they are more than the grace.
  std::uint64_t ratio_max = 200;
  std::uint64_t ratio_grace = 256ull << 20;
  std::stop_token stop{};  // ends a walk with cancelled
};

class ArchiveReader {
 public:
  // `fd` is borrowed and can be seeked.
  static Result<ArchiveReader> open(int fd, ArchiveLimits limits = {});

  bool has(const std::string& name) const { return members_.count(name) != 0; }
  // The member that `name` is in the end: "./a/../b" is "b", links are followed inside the archive.
  // invalid_argument begins with `field`: there is none.
  Result<std::string> resolve(const std::string& field, const std::string& name) const;
  std::uint64_t size(const std::string& member) const { return members_.at(member).size; }

  // The whole of each member of `wanted`, none larger than `size_max`.
  Result<std::map<std::string, std::string>> read(const std::set<std::string>& wanted,
                                                  std::size_t size_max) const;
  // The same one at a time, in the archive's order.
  using Taker = std::function<Status(const std::string& member, std::string text)>;
  Status read_each(const std::set<std::string>& wanted, std::size_t size_max,
                   const Taker& take) const;
  // Gives the bytes of each member of `wanted` piece by piece, in the archive's order: as many as
  // size() says, or the walk fails.
  using Visitor = std::function<Status(const std::string& member, std::string_view piece)>;
  Status walk(const std::set<std::string>& wanted, const Visitor& visit) const;

 private:
  struct Member {
    std::uint64_t size = 0;
    std::string link;    // where a link leads, as a member's name; empty: a file
    bool twice = false;  // and cannot be read
  };

  ArchiveReader(int fd, ArchiveLimits limits) : fd_(fd), limits_(limits) {}
  Status list();
  static Result<std::optional<Member>> member_of(archive_entry* entry, const std::string& name);

  int fd_;
  ArchiveLimits limits_;
  std::map<std::string, Member> members_;
};

}  // namespace berth::image
