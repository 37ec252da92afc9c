// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "core/keeper/entry_record.h"
#include "core/keeper/poll.h"
#include "core/linux/pidfd.h"

namespace berth::keeper {
namespace {

constexpr std::uint64_t kLaunchTicks =
    300;  // a process is made within 3 s of its entry, in USER_HZ

// Field 22 of /proc/PID/stat; 0: no such process.
std::uint64_t start_ticks(int proc_dir, pid_t pid) noexcept {
  char path[32];
  ::snprintf(path, sizeof path, "%d/stat", pid);
  UniqueFd fd(::openat(proc_dir, path, O_RDONLY | O_CLOEXEC));
  char text[1024];
  const ssize_t length = fd.valid() ? ::read(fd.get(), text, sizeof text - 1) : -1;
  if (length <= 0) return 0;
  text[length] = '\0';
  // The command in field 2 may hold anything, blanks and parentheses too.
  const char* at = ::strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) {
    at = ::strchr(at + 1, ' ');
  }
  return at == nullptr ? 0 : ::strtoull(at + 1, nullptr, 10);
}

}  // namespace

void Handover::begin() noexcept {
  for (LogSlot& slot : table_.header().slots) slot.staging_read = slot.staging_write = -1;
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    Entry& entry = table_.at(i);
    if (entry.state == EntryState::free) continue;
    entry.pidfd = entry.log = entry.stdin_fd = entry.stream[0] = entry.stream[1] = -1;
    for (std::int32_t& fd : entry.held) fd = -1;
    entry.adopted = 1;
  }
}

void Handover::adopt_process(Incoming& message, const ProcessRecord& record) noexcept {
  const Header& header = message.header();
  std::uint32_t index = table_.find_process(record.id.view());
  if (index == kNoEntry) {
    // The table is lost, or was made by an older version.
    Result<std::uint32_t> made = table_.allocate();
    if (!made.ok()) {
      return agent_.refuse(header.request, header.type, made.error().sys_errno, "adopt",
                           record.id.view());
    }
    index = *made;
    Entry& entry = table_.at(index);
    entry.name = record.id;
    entry.kind = record.kind;
    entry.flags = record.flags;
    entry.exit_code = record.exit_code;
    entry.exit_known = record.exit_known;
    entry.started_at_ns = record.started_at_ns;
    entry.finished_at_ns = record.finished_at_ns;
    table_.publish(index,
                   record.state == ProcessState::exited ? EntryState::exited : EntryState::running);
    table_.set_pid(index, record.pid);
  }
  Entry& entry = table_.at(index);
  Life& state = lives_.at(index);
  // The agent lost its connection in the middle and begins again.
  if (state.kept != 0) return agent_.answer(header.request, header.type);
  state = {};
  state.kept = 1;
  entry.adopted = 1;
  // The process was started, but the keeper died before it recorded that.
  if (entry.state == EntryState::launching) table_.publish(index, EntryState::running);
  UniqueFd log_next;
  int next = 0;
  const auto take = [&](FdBit bit) {
    return (record.fds & bit) != 0 ? message.take_fd(next++) : UniqueFd();
  };
  UniqueFd pidfd = take(kFdPidfd);
  if (entry.state == EntryState::running) entry.pidfd = pidfd.release();
  entry.log = take(kFdLog).release();
  log_next = take(kFdLogNext);
  entry.stream[kStdout] = take(kFdOut).release();
  entry.stream[kStderr] = take(kFdErr).release();
  entry.stdin_fd = take(kFdStdin).release();
  if (log_next.valid()) pump_.expect_reopen(index, std::move(log_next));
  agent_.answer(header.request, header.type);
}

void Handover::adopt_held(Incoming& message, const NameBody& body) noexcept {
  const std::uint32_t known = table_.find_held(body.name.view());
  // The entry has descriptor numbers of the dead keeper, unless the agent begins again.
  if (known != kNoEntry && lives_.at(known).kept == 0) table_.free(known);
  holds_.hold(message, body);
  const std::uint32_t made = table_.find_held(body.name.view());
  if (made != kNoEntry) {
    lives_.at(made) = {};
    lives_.at(made).kept = 1;
  }
}

bool Handover::adopt_done(Incoming& message) noexcept {
  const Header& header = message.header();
  if (message.fd_count() == kLogSlots * 2) {
    int next = 0;
    for (LogSlot& slot : table_.header().slots) {
      slot.staging_read = message.take_fd(next++).release();
      slot.staging_write = message.take_fd(next++).release();
    }
  }
  Status opened = pump_.open_staging();
  if (!opened.ok()) {
    agent_.refuse(header.request, header.type, opened.error().sys_errno, "pipe2", "staging");
    return true;
  }
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    if (table_.at(i).state != EntryState::free && lives_.at(i).kept == 0) resolve_unadopted(i);
  }
  environment_.fresh = false;
  start_all();
  int fds[kLogSlots * 2];
  const size_t count = staging_fds(table_, fds);
  return agent_.tell(Header{.type = header.type, .request = header.request}, {},
                     std::span(fds, count));
}

// Entries that the agent does not know: it died too, or a launch was in progress.
void Handover::resolve_unadopted(std::uint32_t index) noexcept {
  Entry& entry = table_.at(index);
  lives_.at(index) = {};
  if (entry.state == EntryState::held || entry.state == EntryState::exited) {
    // Held descriptors cannot be found again; an exit record is kept.
    if (entry.state == EntryState::held) table_.free(index);
    return;
  }
  const bool was_launching = entry.state == EntryState::launching;
  if (was_launching && entry.clone_pid > 0) table_.set_pid(index, entry.clone_pid);
  const bool found = find_again(index);
  if (was_launching) {
    // The agent that asked for it counts it as failed.
    if (found) static_cast<void>(sys::pidfd_send_signal(entry.pidfd, SIGKILL));
    close_descriptors(entry);
    table_.free(index);
  } else if (!found) {
    exits_.ended(index, std::nullopt);
  }
}

// Finds the process by pid and start time, and its pipes through its own descriptors: a pipe must
// have the inode that the table has.
bool Handover::find_again(std::uint32_t index) noexcept {
  Entry& entry = table_.at(index);
  if (entry.pid <= 0) return false;
  Result<UniqueFd> pidfd = sys::pidfd_open(entry.pid);
  if (!pidfd.ok()) return false;
  const std::uint64_t born = start_ticks(environment_.proc_dir.get(), entry.pid);
  if (born + 1 < entry.launch_ticks || born > entry.launch_ticks + kLaunchTicks) return false;
  entry.pidfd = pidfd->release();
  for (const Stream stream : {kStdout, kStderr}) {
    if (entry.stream_inode[stream] == 0 || (entry.flags & kTerminal) != 0) continue;
    char path[32];
    ::snprintf(path, sizeof path, "%d/fd/%d", entry.pid, stream == kStdout ? 1 : 2);
    UniqueFd pipe(::openat(environment_.proc_dir.get(), path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!pipe.valid() || ::fstat(pipe.get(), &status) != 0 || !S_ISFIFO(status.st_mode) ||
        status.st_ino != entry.stream_inode[stream]) {
      continue;
    }
    entry.stream[stream] = pipe.release();
  }
  return true;
}

void Handover::start_all() noexcept {
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Entry& entry = table_.at(i);
    if (!entry.is_process()) continue;
    pump_.start(i);
    lives_.at(i).kept = 0;
    if (entry.state == EntryState::running && entry.adopted != 0 && entry.pidfd >= 0) {
      watch(ring_, entry.pidfd, POLLIN,
            {TokenKind::pidfd, 0, static_cast<std::uint16_t>(entry.serial), i});
    }
  }
  pump_.recover();
}

size_t staging_fds(Table& table, int* fds) noexcept {
  size_t count = 0;
  for (const LogSlot& slot : table.header().slots) {
    fds[count++] = slot.staging_read;
    fds[count++] = slot.staging_write;
  }
  return count;
}

}  // namespace berth::keeper
