// SPDX-License-Identifier: Apache-2.0
// The keeper's table: all state that must survive the keeper, in one shared mapping of
// `keeper.table` in the state directory (tmpfs). It outlives the keeper, its re-execution, and the
// death of keeper and agent together. Fixed-size entries; the file grows by chunks with its space
// reserved first, so a full tmpfs is an error at launch and never a SIGBUS. Nothing here allocates.
//
// Written by one keeper at a time (main.cc holds the lock). A kill may come between any two stores,
// so an entry's `state` is stored last when it is filled and first when it is freed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"
#include "core/linux/mmap.h"

namespace berth::keeper {

constexpr std::uint32_t kEntriesMax = 16384;
constexpr std::uint32_t kNoEntry = 0xffffffff;
constexpr int kLogSlots = 4;
constexpr std::uint32_t kRawBytesMax = 16384;  // also the longest piece of a line in one record

enum class EntryState : std::uint8_t {
  free = 0,
  launching = 1,
  running = 2,
  exited = 3,
  held = 4,  // not a process: descriptors under a key
};

enum Stream : std::uint8_t { kStdout = 0, kStderr = 1 };

// Descriptor numbers are those of the keeper's process; -1: none.
struct Entry {
  EntryState state;
  ProcessKind kind;
  std::uint8_t flags;  // ProcessFlag
  std::uint8_t exit_known;
  std::uint8_t partial[2];  // per Stream: the last record written was a P
  std::uint8_t adopted;     // not the keeper's child: reaped by the agent or by init
  std::uint8_t held_count;
  std::int32_t pid;
  std::int32_t clone_pid;  // stored by the kernel when the process is made; only recovery reads it
  std::int32_t pidfd;
  std::int32_t log;
  std::int32_t stream[2];
  std::int32_t stdin_fd;
  std::int32_t exit_code;
  std::int32_t held[kHeldFdsMax];
  std::uint64_t serial;           // never reused; names the entry in a log slot
  std::uint64_t stream_inode[2];  // to find the pipes again through the process
  std::uint64_t launch_ticks;     // boot time of the launch: with pid, the identity of the process
  std::int64_t started_at_ns;
  std::int64_t finished_at_ns;
  Name name;

  // The pump reads its output. An exec without a log has streams that belong to the agent.
  bool carried() const noexcept { return (flags & kLogged) != 0 || kind != ProcessKind::exec; }
  bool is_process() const noexcept {
    return state != EntryState::free && state != EntryState::held;
  }
};

// The journal of one piece of output on its way from a pipe into a log (log/pump.h says how).
enum class SlotPhase : std::uint8_t { free = 0, moving, staged, raw };

struct LogSlot {
  SlotPhase phase;
  std::uint8_t stream;
  std::uint8_t at_eof;         // no bytes: only the empty F that ends a partial line
  std::uint8_t writing;        // the batch_* fields describe a write that may have begun
  std::uint8_t batch_partial;  // the stream's partial flag before the batch
  std::uint8_t unused[3];
  std::uint32_t entry;
  std::uint32_t raw_bytes;
  std::uint32_t raw_done;     // how much of raw is in the log
  std::uint32_t batch_start;  // raw_done when the batch began
  std::uint32_t batch_raw;    // raw bytes the batch covers
  std::int32_t staging_read;  // the slot's own pipe
  std::int32_t staging_write;
  std::uint64_t serial;     // of the entry
  std::uint64_t log_inode;  // the file the batch goes to
  std::int64_t log_size_before;
  std::int64_t batch_time_ns;
};

struct TableHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t entry_bytes;
  std::uint32_t entries;  // allocated in the file
  std::uint32_t next_serial;
  LogSlot slots[kLogSlots];
};

class Table {
 public:
  // Maps the table in `fd`, or makes an empty one when the file is empty or of another version.
  static Result<Table> open(UniqueFd fd);

  Table() = default;
  Table(Table&&) = default;
  Table& operator=(Table&&) = default;

  TableHeader& header() noexcept { return *reinterpret_cast<TableHeader*>(map_.data()); }
  const TableHeader& header() const noexcept {
    return *reinterpret_cast<const TableHeader*>(map_.data());
  }
  int fd() const noexcept { return fd_.get(); }
  // All that is mapped of it, shared with every process that opened the file.
  std::span<std::byte> mapping() noexcept { return {map_.data(), map_.size()}; }
  // The file was empty, or of another version and is lost.
  bool started_anew() const noexcept { return started_anew_; }
  std::uint32_t size() const noexcept { return header().entries; }
  Entry& at(std::uint32_t index) noexcept;
  const Entry& at(std::uint32_t index) const noexcept;
  // kRawBytesMax bytes that outlive the keeper, one buffer per slot.
  std::byte* raw(int slot) noexcept;

  // A free entry, zeroed, descriptors -1, with a new serial; its state is still free.
  Result<std::uint32_t> allocate() noexcept;
  void publish(std::uint32_t index, EntryState state) noexcept;
  void free(std::uint32_t index) noexcept;
  // Processes and held descriptors have separate names. kNoEntry: none.
  std::uint32_t find_process(std::string_view id) const noexcept;
  std::uint32_t find_held(std::string_view key) const noexcept;
  std::uint32_t find_pid(pid_t pid) const noexcept;
  // Call it when a launched process gets its pid, or another one.
  void set_pid(std::uint32_t index, pid_t pid) noexcept;

  std::uint32_t processes() const noexcept { return processes_; }
  std::uint32_t held() const noexcept { return held_; }

 private:
  // Chains of entries by name and by pid, in private memory, rebuilt by open. 0: end, else index
  // + 1.
  struct Links {
    std::uint16_t by_name;
    std::uint16_t by_pid;
  };
  static constexpr std::uint32_t kBuckets = 2048;
  struct Index {
    std::uint16_t names[kBuckets];
    std::uint16_t pids[kBuckets];
    Links links[kEntriesMax];
  };

  Status grow() noexcept;
  void link(std::uint32_t index) noexcept;
  void unlink(std::uint32_t index) noexcept;
  void unlink_pid(std::uint32_t index) noexcept;
  void rebuild() noexcept;
  std::uint32_t find(std::string_view name, bool held) const noexcept;
  Index& index() noexcept { return *reinterpret_cast<Index*>(index_.data()); }
  const Index& index() const noexcept { return *reinterpret_cast<const Index*>(index_.data()); }

  UniqueFd fd_;
  sys::Mmap map_;
  sys::Mmap index_;
  bool started_anew_ = false;
  std::uint32_t first_free_ = 0;  // no free entry below it
  std::uint32_t processes_ = 0;
  std::uint32_t held_ = 0;
};

}  // namespace berth::keeper
