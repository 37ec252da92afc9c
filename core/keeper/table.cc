// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <new>
#include <utility>

namespace berth::keeper {
namespace {

constexpr std::uint64_t kTableMagic = 0x656c626174726562;
constexpr std::uint32_t kTableVersion = 1;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kRawOffset = kPage;
constexpr std::size_t kEntriesOffset = kRawOffset + std::size_t{kLogSlots} * kRawBytesMax;
constexpr std::uint32_t kGrowBy = 32;
constexpr std::size_t kBytesMax = kEntriesOffset + std::size_t{kEntriesMax} * sizeof(Entry);
static_assert(sizeof(TableHeader) <= kPage);

std::size_t file_bytes(std::uint32_t entries) {
  return kEntriesOffset + std::size_t{entries} * sizeof(Entry);
}

std::uint32_t hash_name(std::string_view name, bool held) noexcept {
  std::uint32_t hash = held ? 0x811c9dc5 : 0x01000193;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

void store_state(Entry& entry, EntryState state) noexcept {
  // Orders the stores around it for a keeper that reads the table after this one is killed.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *const_cast<volatile EntryState*>(&entry.state) = state;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

bool usable(const TableHeader& header, off_t size) {
  return header.magic == kTableMagic && header.version == kTableVersion &&
         header.entry_bytes == sizeof(Entry) && header.entries <= kEntriesMax &&
         size >= static_cast<off_t>(file_bytes(header.entries));
}

}  // namespace

Result<Table> Table::open(UniqueFd fd) {
  Table table;
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return sys_error(errno, "fstat", "keeper.table");
  // The whole range is mapped once; pages beyond the end of the file are never touched.
  TRY(table.map_, sys::Mmap::create(fd.get(), kBytesMax,
                                    {.protection = PROT_READ | PROT_WRITE, .flags = MAP_SHARED},
                                    "keeper.table"));
  TRY(table.index_, sys::Mmap::create(-1, sizeof(Index),
                                      {.protection = PROT_READ | PROT_WRITE,
                                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE},
                                      "keeper index"));
  table.fd_ = std::move(fd);
  const bool has_header = status.st_size >= static_cast<off_t>(kPage);
  if (!has_header || !usable(table.header(), status.st_size)) {
    if (::ftruncate(table.fd(), 0) != 0) return sys_error(errno, "ftruncate", "keeper.table");
    const int failed = ::posix_fallocate(table.fd(), 0, static_cast<off_t>(file_bytes(0)));
    if (failed != 0) return sys_error(failed, "fallocate", "keeper.table");
    TableHeader& header = table.header();
    header.version = kTableVersion;
    header.entry_bytes = sizeof(Entry);
    header.next_serial = 1;
    for (LogSlot& slot : header.slots) slot.staging_read = slot.staging_write = -1;
    header.magic = kTableMagic;
    table.started_anew_ = true;
  }
  table.rebuild();
  return table;
}

Entry& Table::at(std::uint32_t index) noexcept {
  CHECK(index < size());
  return *(reinterpret_cast<Entry*>(map_.data() + kEntriesOffset) + index);
}

const Entry& Table::at(std::uint32_t index) const noexcept {
  return const_cast<Table*>(this)->at(index);
}

std::byte* Table::raw(int slot) noexcept {
  return map_.data() + kRawOffset + std::size_t{kRawBytesMax} * static_cast<std::size_t>(slot);
}

Status Table::grow() noexcept {
  const std::uint32_t wanted = size() + kGrowBy;
  if (wanted > kEntriesMax) return sys_error(ENOSPC, "grow", "keeper.table");
  const int failed = ::posix_fallocate(fd(), 0, static_cast<off_t>(file_bytes(wanted)));
  if (failed != 0) return sys_error(failed, "fallocate", "keeper.table");
  header().entries = wanted;
  return {};
}

Result<std::uint32_t> Table::allocate() noexcept {
  while (first_free_ < size() && at(first_free_).state != EntryState::free) ++first_free_;
  if (first_free_ == size()) TRY_(grow());
  Entry& entry = at(first_free_);
  std::memset(static_cast<void*>(&entry), 0, sizeof entry);
  entry.pidfd = entry.log = entry.stdin_fd = entry.stream[0] = entry.stream[1] = -1;
  for (std::int32_t& fd : entry.held) fd = -1;
  entry.serial = header().next_serial++;
  return first_free_;
}

void Table::publish(std::uint32_t index, EntryState state) noexcept {
  Entry& entry = at(index);
  CHECK(entry.name.valid() && state != EntryState::free);
  const bool is_new = entry.state == EntryState::free;
  store_state(entry, state);
  if (!is_new) return;
  link(index);
  ++(state == EntryState::held ? held_ : processes_);
}

void Table::free(std::uint32_t index) noexcept {
  Entry& entry = at(index);
  CHECK(entry.state != EntryState::free);
  --(entry.state == EntryState::held ? held_ : processes_);
  unlink(index);
  store_state(entry, EntryState::free);
  if (index < first_free_) first_free_ = index;
}

std::uint32_t Table::find(std::string_view name, bool held) const noexcept {
  std::uint16_t next = index().names[hash_name(name, held) % kBuckets];
  while (next != 0) {
    const std::uint32_t i = next - 1u;
    const Entry& entry = at(i);
    if ((entry.state == EntryState::held) == held && entry.name.view() == name) return i;
    next = index().links[i].by_name;
  }
  return kNoEntry;
}

std::uint32_t Table::find_process(std::string_view id) const noexcept {
  return find(id, false);
}
std::uint32_t Table::find_held(std::string_view key) const noexcept {
  return find(key, true);
}

std::uint32_t Table::find_pid(pid_t pid) const noexcept {
  std::uint16_t next = index().pids[static_cast<std::uint32_t>(pid) % kBuckets];
  while (next != 0) {
    const std::uint32_t i = next - 1u;
    // An exited entry keeps its pid as a record, but another process may have the number now.
    if (at(i).pid == pid && at(i).state != EntryState::exited) return i;
    next = index().links[i].by_pid;
  }
  return kNoEntry;
}

namespace {

// Removes `index` from the chain that starts at `head` and goes on through `next`.
template <typename Next>
void unchain(std::uint16_t* at, std::uint32_t index, Next&& next) noexcept {
  while (*at != 0 && *at != index + 1) at = next(*at - 1u);
  if (*at != 0) *at = *next(index);
}

}  // namespace

void Table::link(std::uint32_t index_of_entry) noexcept {
  const Entry& entry = at(index_of_entry);
  Index& chains = index();
  std::uint16_t& head =
      chains.names[hash_name(entry.name.view(), entry.state == EntryState::held) % kBuckets];
  chains.links[index_of_entry] = {head, 0};
  head = static_cast<std::uint16_t>(index_of_entry + 1);
  if (entry.pid > 0) {
    std::uint16_t& pids = chains.pids[static_cast<std::uint32_t>(entry.pid) % kBuckets];
    chains.links[index_of_entry].by_pid = pids;
    pids = static_cast<std::uint16_t>(index_of_entry + 1);
  }
}

void Table::unlink(std::uint32_t index_of_entry) noexcept {
  const Entry& entry = at(index_of_entry);
  Index& chains = index();
  unchain(&chains.names[hash_name(entry.name.view(), entry.state == EntryState::held) % kBuckets],
          index_of_entry, [&chains](std::uint32_t i) { return &chains.links[i].by_name; });
  unlink_pid(index_of_entry);
}

void Table::unlink_pid(std::uint32_t index_of_entry) noexcept {
  const Entry& entry = at(index_of_entry);
  Index& chains = index();
  if (entry.pid <= 0) return;
  unchain(&chains.pids[static_cast<std::uint32_t>(entry.pid) % kBuckets], index_of_entry,
          [&chains](std::uint32_t i) { return &chains.links[i].by_pid; });
}

void Table::set_pid(std::uint32_t index_of_entry, pid_t pid) noexcept {
  Entry& entry = at(index_of_entry);
  Index& chains = index();
  unlink_pid(index_of_entry);
  entry.pid = pid;
  std::uint16_t& head = chains.pids[static_cast<std::uint32_t>(pid) % kBuckets];
  chains.links[index_of_entry].by_pid = head;
  head = static_cast<std::uint16_t>(index_of_entry + 1);
}

void Table::rebuild() noexcept {
  processes_ = held_ = 0;
  for (std::uint32_t i = 0; i < size(); ++i) {
    Entry& entry = at(i);
    if (!entry.name.valid()) entry.state = EntryState::free;
    if (entry.state == EntryState::free) continue;
    link(i);
    ++(entry.state == EntryState::held ? held_ : processes_);
  }
}

}  // namespace berth::keeper
