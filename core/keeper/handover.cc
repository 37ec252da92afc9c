// SPDX-License-Identifier: Apache-2.0
// How a keeper follows a keeper: by re-execution with everything in its hands, or fresh after a
// death, when the agent gives back its duplicates and the table tells the rest.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "core/keeper/keeper.h"
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

// What a dead predecessor's table calls descriptors are numbers of another process.
void Keeper::begin_fresh() noexcept {
  Table& table = station_.table;
  for (LogSlot& slot : table.header().slots) slot.staging_read = slot.staging_write = -1;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    Entry& entry = table.at(i);
    if (entry.state == EntryState::free) continue;
    entry.pidfd = entry.log = entry.stdin_fd = entry.stream[0] = entry.stream[1] = -1;
    for (std::int32_t& fd : entry.held) fd = -1;
    entry.adopted = 1;
  }
}

void Keeper::adopt_process(Incoming& message, const ProcessRecord& record) noexcept {
  const Header& header = message.header();
  Table& table = station_.table;
  std::uint32_t index = table.find_process(record.id.view());
  if (index == kNoEntry) {
    // The table is lost, or of an older version.
    Result<std::uint32_t> made = table.allocate();
    if (!made.ok()) {
      return refuse(header.request, header.type, made.error().sys_errno, "adopt", record.id.view());
    }
    index = *made;
    Entry& entry = table.at(index);
    entry.name = record.id;
    entry.kind = record.kind;
    entry.flags = record.flags;
    entry.exit_code = record.exit_code;
    entry.exit_known = record.exit_known;
    entry.started_at_ns = record.started_at_ns;
    entry.finished_at_ns = record.finished_at_ns;
    table.publish(index,
                  record.state == ProcessState::exited ? EntryState::exited : EntryState::running);
    table.set_pid(index, record.pid);
  }
  Entry& entry = table.at(index);
  Life& state = life(index);
  // The agent lost its connection in the middle and begins again.
  if (state.kept != 0) return answer(header.request, header.type);
  state = {};
  state.kept = 1;
  entry.adopted = 1;
  // It had been started, though the word of it was not written down.
  if (entry.state == EntryState::launching) table.publish(index, EntryState::running);
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
  if (log_next.valid()) pump_->expect_reopen(index, std::move(log_next));
  answer(header.request, header.type);
}

void Keeper::adopt_held(Incoming& message, const NameBody& body) noexcept {
  const std::uint32_t known = station_.table.find_held(body.name.view());
  // Numbers of a dead process, unless the agent begins again.
  if (known != kNoEntry && life(known).kept == 0) station_.table.free(known);
  hold(message, body);
  const std::uint32_t made = station_.table.find_held(body.name.view());
  if (made != kNoEntry) {
    life(made) = {};
    life(made).kept = 1;
  }
}

void Keeper::adopt_done(Incoming& message) noexcept {
  Table& table = station_.table;
  const Header& header = message.header();
  if (message.fd_count() == kLogSlots * 2) {
    int next = 0;
    for (LogSlot& slot : table.header().slots) {
      slot.staging_read = message.take_fd(next++).release();
      slot.staging_write = message.take_fd(next++).release();
    }
  }
  Status opened = pump_->open_staging();
  if (!opened.ok()) {
    return refuse(header.request, header.type, opened.error().sys_errno, "pipe2", "staging");
  }
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    if (table.at(i).state != EntryState::free && life(i).kept == 0) resolve_unclaimed(i);
  }
  station_.fresh = false;
  start_all();
  int fds[kLogSlots * 2];
  const size_t count = staging_fds(fds);
  if (!tell(Header{.type = header.type, .request = header.request}, {}, std::span(fds, count))) {
    drop_connection();
  }
}

// Entries the agent knows nothing of: it died too, or a launch was under way.
void Keeper::resolve_unclaimed(std::uint32_t index) noexcept {
  Table& table = station_.table;
  Entry& entry = table.at(index);
  life(index) = {};
  if (entry.state == EntryState::held || entry.state == EntryState::exited) {
    // Descriptors cannot be found again; an exit record is still worth having.
    if (entry.state == EntryState::held) table.free(index);
    return;
  }
  const bool was_launching = entry.state == EntryState::launching;
  if (was_launching && entry.clone_pid > 0) table.set_pid(index, entry.clone_pid);
  const bool found = find_again(index);
  if (was_launching) {
    // Whoever asked for it was told that it failed.
    if (found) static_cast<void>(sys::pidfd_send_signal(entry.pidfd, SIGKILL));
    close_process(index);
    table.free(index);
  } else if (!found) {
    ended(index, std::nullopt);
  }
}

// By pid and time of birth, and its pipes through its own descriptors; their inodes prove them.
bool Keeper::find_again(std::uint32_t index) noexcept {
  Entry& entry = station_.table.at(index);
  if (entry.pid <= 0) return false;
  Result<UniqueFd> pidfd = sys::pidfd_open(entry.pid);
  if (!pidfd.ok()) return false;
  const std::uint64_t born = start_ticks(station_.proc_dir.get(), entry.pid);
  if (born + 1 < entry.launch_ticks || born > entry.launch_ticks + kLaunchTicks) return false;
  entry.pidfd = pidfd->release();
  for (const Stream stream : {kStdout, kStderr}) {
    if (entry.stream_inode[stream] == 0 || (entry.flags & kTerminal) != 0) continue;
    char path[32];
    ::snprintf(path, sizeof path, "%d/fd/%d", entry.pid, stream == kStdout ? 1 : 2);
    UniqueFd pipe(::openat(station_.proc_dir.get(), path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!pipe.valid() || ::fstat(pipe.get(), &status) != 0 || !S_ISFIFO(status.st_mode) ||
        status.st_ino != entry.stream_inode[stream]) {
      continue;
    }
    entry.stream[stream] = pipe.release();
  }
  return true;
}

void Keeper::resume() noexcept {
  start_all();
}

void Keeper::start_all() noexcept {
  Table& table = station_.table;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    const Entry& entry = table.at(i);
    if (!entry.is_process()) continue;
    pump_->start(i);
    life(i).kept = 0;
    if (entry.state == EntryState::running && entry.adopted != 0 && entry.pidfd >= 0) {
      watch(entry.pidfd, POLLIN,
            {TokenKind::pidfd, 0, static_cast<std::uint16_t>(entry.serial), i});
    }
  }
  pump_->recover();
}

bool Keeper::ready_for_exec() noexcept {
  if (!pump_->quiet() || launching_ != 0 || first_say_ != kNoEntry || stalled_ || listing_.active) {
    return false;
  }
  for (std::uint32_t i = 0; i < station_.table.size(); ++i) {
    const Life& state = life(i);
    const bool busy = state.exit_waits != 0 || state.forgetting != 0 || state.reopen_request != 0;
    if (station_.table.at(i).is_process() && busy) return false;
  }
  return true;
}

void Keeper::keep_across_exec(bool keep) noexcept {
  const auto mark = [keep](int fd) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
  };
  for (const UniqueFd* fd : {&station_.state_dir, &station_.lock, &station_.listener,
                             &station_.proc_dir, &connection_}) {
    mark(fd->get());
  }
  mark(station_.table.fd());
  for (const LogSlot& slot : station_.table.header().slots) {
    mark(slot.staging_read);
    mark(slot.staging_write);
  }
  for (std::uint32_t i = 0; i < station_.table.size(); ++i) {
    const Entry& entry = station_.table.at(i);
    if (entry.state == EntryState::free) continue;
    for (const int fd :
         {entry.pidfd, entry.log, entry.stream[0], entry.stream[1], entry.stdin_fd}) {
      mark(fd);
    }
    for (const int fd : entry.held) mark(fd);
  }
}

void Keeper::try_reexec() noexcept {
  if (!ready_for_exec()) return;
  keep_across_exec(true);
  char numbers[160];
  ::fcntl(reexec_binary_.get(), F_SETFD, 0);
  ::snprintf(numbers, sizeof numbers, "%d,%d,%d,%d,%d,%d,%llu,%d", station_.state_dir.get(),
             station_.lock.get(), station_.listener.get(), station_.proc_dir.get(),
             station_.table.fd(), connection_.get(),
             static_cast<unsigned long long>(reexec_request_), reexec_binary_.get());
  char name[] = "berth-keeper";
  char resume_option[] = "--resume";
  char* arguments[] = {name, resume_option, numbers, nullptr};
  char* environment[] = {nullptr};
  ::syscall(SYS_execveat, reexec_binary_.get(), "", arguments, environment, AT_EMPTY_PATH);
  const int failed = errno;
  keep_across_exec(false);
  reexec_binary_.reset();
  refuse(std::exchange(reexec_request_, 0), MessageType::reexec, failed, "execveat",
         "the new keeper");
}

}  // namespace berth::keeper
