// SPDX-License-Identifier: Apache-2.0
// After a start: resolves double records of an interrupted commit and deletes directories without a
// record.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "core/linux/openat2.h"
#include "core/store/record.h"
#include "snapshotter/overlay.h"

namespace berth::snapshotter {
namespace {

std::uint64_t id_of(std::string_view bytes) {
  return store::RecordReader(bytes).u64();
}

// The names in `dirfd` that are ids.
Result<std::vector<std::uint64_t>> ids_on_disk(int dirfd) {
  const int fd = ::openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return sys_error(errno, "open", "snapshots");
  DIR* const directory = ::fdopendir(fd);
  if (directory == nullptr) {
    ::close(fd);
    return sys_error(errno, "fdopendir", "snapshots");
  }
  std::vector<std::uint64_t> ids;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error == std::errc() && end == name.data() + name.size()) ids.push_back(id);
  }
  ::closedir(directory);
  return ids;
}

std::size_t of_table(const std::vector<store::Quarantined>& all, std::string_view table) {
  const auto is_it = [table](const store::Quarantined& record) { return record.table == table; };
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), is_it));
}

}  // namespace

// A crash during a commit may leave two records of one directory: the durable one counts.
Status Overlay::erase_doubles() {
  std::set<std::uint64_t> committed_ids;
  TRY_(committed_.for_each(kCommittedTable, [&](std::string_view, std::string_view bytes) {
    committed_ids.insert(id_of(bytes));
    return true;
  }));
  std::vector<std::string> doubles;
  TRY_(active_.for_each(kActiveTable, [&](std::string_view key, std::string_view bytes) {
    if (committed_ids.count(id_of(bytes)) != 0) doubles.emplace_back(key);
    return true;
  }));
  for (const std::string& key : doubles) TRY_(active_.erase(kActiveTable, key));
  return {};
}

// Returns the first free id.
Result<std::uint64_t> Overlay::sweep() {
  std::set<std::uint64_t> known;
  const auto visit = [&known](std::string_view, std::string_view bytes) {
    known.insert(id_of(bytes));
    return true;
  };
  TRY_(committed_.for_each(kCommittedTable, visit));
  TRY_(active_.for_each(kActiveTable, visit));
  TRY(const std::vector<std::uint64_t> present, ids_on_disk(dirfd_.get()));
  std::uint64_t last_id = known.empty() ? 0 : *known.rbegin();
  for (const std::uint64_t id : present) last_id = std::max(last_id, id);

  // The directory of a damaged record cannot be told from a leftover, so keep all directories.
  TRY(const std::vector<store::Quarantined> runtime_damage, active_.quarantined());
  TRY(const std::vector<store::Quarantined> damage, committed_.quarantined());
  const std::size_t unknown =
      of_table(runtime_damage, kActiveTable.name) + of_table(damage, kCommittedTable.name);
  if (unknown != 0) {
    log_.warn("snapshotter", std::to_string(unknown) + " damaged records are in quarantine: no " +
                                 "directory in `" + layout_.dir() + "` is swept");
    return last_id + 1;
  }
  for (const std::uint64_t id : present) {
    if (known.count(id) == 0) TRY_(trash_->take(dirfd_.get(), OverlayLayout::name(id)));
  }
  return last_id + 1;
}

Task<void> Overlay::recover() {
  const std::vector<store::Table> runtime_tables{kActiveTable};
  const std::vector<store::Table> durable_tables{kCommittedTable};
  const std::vector<store::Quarantined> runtime_damage =
      co_await active_.quarantine_damaged(runtime_tables);
  const std::vector<store::Quarantined> damage =
      co_await committed_.quarantine_damaged(durable_tables);
  for (const auto& records : {runtime_damage, damage}) {
    for (const store::Quarantined& record : records) {
      log_.error("snapshotter",
                 "record `" + record.table + "/" + record.key + "` set aside: " + record.reason);
    }
  }
  co_await erase_doubles();
  const std::uint64_t first_free_id = co_await sweep();
  trees_.start(first_free_id);
  trash_->empty();
}

}  // namespace berth::snapshotter
