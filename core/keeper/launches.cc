// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/launches.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/units.h"
#include "core/container/plan_view.h"
#include "core/container/report.h"
#include "core/container/spawn.h"
#include "core/keeper/entry_record.h"
#include "core/keeper/poll.h"
#include "core/linux/pidfd.h"

namespace berth::keeper {
namespace {

constexpr std::int64_t kTicksPerSecond = 100;  // USER_HZ, what /proc/PID/stat counts in

std::uint64_t boot_ticks() noexcept {
  return static_cast<std::uint64_t>(clock_now_ns(CLOCK_BOOTTIME) /
                                    (kNanosecondsPerSecond / kTicksPerSecond));
}

std::uint64_t inode_of(int fd) noexcept {
  struct stat status {};
  return fd >= 0 && ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

void set_nonblocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

// The keeper's private view of a message's descriptors, in the order of FdBit.
int index_of_bit(std::uint32_t fds, FdBit bit) noexcept {
  if ((fds & bit) == 0) return -1;
  return __builtin_popcount(fds & (static_cast<std::uint32_t>(bit) - 1));
}

}  // namespace

void Launches::take_descriptors(Incoming& message) noexcept {
  if (early_fds_.request != message.header().request) drop_descriptors();
  early_fds_.request = message.header().request;
  for (int i = 0; i < message.fd_count() && early_fds_.count < container::kPlanFdsMax; ++i) {
    early_fds_.fds[early_fds_.count++] = message.take_fd(i).release();
  }
}

void Launches::drop_descriptors() noexcept {
  for (std::uint32_t i = 0; i < early_fds_.count; ++i) UniqueFd closed(early_fds_.fds[i]);
  early_fds_.count = 0;
}

void Launches::launch(Incoming& message) noexcept {
  // Of a launch that its caller gave up.
  if (early_fds_.request != message.header().request) drop_descriptors();
  start_launch(message);
  drop_descriptors();
}

void Launches::start_launch(Incoming& message) noexcept {
  const Header& header = message.header();
  const auto* body = message.body<ProcessRecord>();
  constexpr std::uint32_t kAllowed = kFdPlan | kFdLog | kFdOut | kFdErr | kFdStdin | kFdChild;
  if (body == nullptr || !body->id.valid() || (body->fds & kFdPlan) == 0 ||
      (body->fds & ~kAllowed) != 0 || __builtin_popcount(body->fds) > message.fd_count()) {
    return agent_.refuse(header.request, header.type, EINVAL, "launch", "malformed request");
  }
  if (table_.find_process(body->id.view()) != kNoEntry) {
    return agent_.refuse(header.request, header.type, EEXIST, "launch", body->id.view());
  }
  Result<std::uint32_t> made = table_.allocate();
  if (!made.ok()) {
    return agent_.refuse(header.request, header.type, made.error().sys_errno,
                         made.error().op.c_str(), "keeper.table");
  }
  const std::uint32_t index = *made;
  Entry& entry = table_.at(index);
  entry.name = body->id;
  entry.kind = body->kind;
  entry.flags = body->flags;
  entry.launch_ticks = boot_ticks();
  lives_.at(index) = {};
  lives_.at(index).launch_request = header.request;
  table_.publish(index, EntryState::launching);
  ++launching_;
  const int refused = begin_launch(message, index, body->fds);
  if (refused != 0) failed(index, refused, "launch", "");
}

// 0 when there is a child, else an errno.
int Launches::begin_launch(Incoming& message, std::uint32_t index, std::uint32_t fds) noexcept {
  Entry& entry = table_.at(index);
  const int plan_fd = message.peek_fd(index_of_bit(fds, kFdPlan));
  struct stat status {};
  if (::fstat(plan_fd, &status) != 0) return errno;
  // Sealed against shrinking: otherwise the sender could take the pages away while they are read.
  const int seals = ::fcntl(plan_fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_WRITE) == 0) return EINVAL;
  if (status.st_size <= 0 || status.st_size > static_cast<off_t>(container::kPlanSizeMax)) {
    return EMSGSIZE;
  }
  Result<sys::Mmap> map =
      sys::Mmap::create(plan_fd, static_cast<size_t>(status.st_size),
                        {.protection = PROT_READ, .flags = MAP_PRIVATE}, "plan");
  if (!map.ok()) return map.error().sys_errno;
  container::PlanView plan;
  if (!container::PlanView::parse(map->data(), map->size(), &plan)) return EBADMSG;
  const auto last_fds = message.fds().subspan(static_cast<size_t>(__builtin_popcount(fds)));
  if (early_fds_.count + last_fds.size() != plan.header().fd_count) return EBADMSG;
  // They stay in the message; the early ones are closed after the launch.
  int plan_fds[container::kPlanFdsMax];
  std::copy_n(early_fds_.fds, early_fds_.count, plan_fds);
  std::copy(last_fds.begin(), last_fds.end(), plan_fds + early_fds_.count);
  const container::SpawnRequest request{
      .plan = &plan,
      .fds = std::span(plan_fds, plan.header().fd_count),
      .stdin_fd = message.peek_fd(index_of_bit(fds, kFdChildIn)),
      .stdout_fd = message.peek_fd(index_of_bit(fds, kFdChildOut)),
      .stderr_fd = message.peek_fd(index_of_bit(fds, kFdChildErr)),
      .parent_tid = &entry.clone_pid,
      .shared = table_.mapping(),
      .empty_dir = kEmptyDirectory,
      .empty_file = kEmptyFile,
      .proc_fd = environment_.proc_dir.get(),
      .bare_root = true,
      .ignores_nothing = true};
  container::SpawnResult spawned;
  const int spawn_errno = container::spawn(request, &spawned);
  if (spawn_errno != 0) return spawn_errno;
  Life& state = lives_.at(index);
  state.channel = spawned.channel + 1;
  state.helper = spawned.helper ? 1 : 0;
  helpers_ += spawned.helper ? 1 : 0;
  table_.set_pid(index, spawned.pid);
  entry.pidfd = spawned.pidfd;
  entry.log = message.take_fd(index_of_bit(fds, kFdLog)).release();
  entry.stream[kStdout] = message.take_fd(index_of_bit(fds, kFdOut)).release();
  entry.stream[kStderr] = message.take_fd(index_of_bit(fds, kFdErr)).release();
  entry.stdin_fd = message.take_fd(index_of_bit(fds, kFdStdin)).release();
  for (const Stream stream : {kStdout, kStderr}) {
    if (entry.stream[stream] < 0) continue;
    set_nonblocking(entry.stream[stream]);
    entry.stream_inode[stream] = inode_of(entry.stream[stream]);
  }
  watch(ring_, spawned.channel, POLLIN,
        {TokenKind::report, 0, static_cast<std::uint16_t>(entry.serial), index});
  return 0;
}

void Launches::on_report(std::uint32_t index) noexcept {
  Entry& entry = table_.at(index);
  Life& state = lives_.at(index);
  while (entry.state == EntryState::launching && state.channel != 0) {
    container::Report report;
    int passed = -1;
    const container::ReadReport read = container::read_report(state.channel - 1, &report, &passed);
    UniqueFd passed_fd(passed);
    if (read == container::ReadReport::nothing_yet) {
      watch(ring_, state.channel - 1, POLLIN,
            {TokenKind::report, 0, static_cast<std::uint16_t>(entry.serial), index});
      return;
    }
    if (read != container::ReadReport::message) {
      if (state.ready != 0 && state.helper == 0) return launched(index);
      return failed(index, ECHILD, "launch", "the process was killed before its exec");
    }
    if (report.kind == container::ReportKind::created && state.helper != 0) {
      Result<UniqueFd> pidfd = sys::pidfd_open(report.pid);
      if (!pidfd.ok()) return failed(index, pidfd.error().sys_errno, "pidfd_open", "");
      state.helper = 0;
      --helpers_;
      reap_wanted_ = true;
      UniqueFd helper(std::exchange(entry.pidfd, pidfd->release()));
      table_.set_pid(index, report.pid);
    } else if (report.kind == container::ReportKind::terminal && passed_fd.valid()) {
      // What only the agent reads stays blocking: its ring wants that.
      if (entry.carried()) set_nonblocking(passed_fd.get());
      UniqueFd old(std::exchange(entry.stream[kStdout], passed_fd.release()));
      entry.flags |= kTerminal;
    } else if (report.kind == container::ReportKind::ready) {
      state.ready = 1;
      static_assert(sizeof state.stage_ns == sizeof report.stage_ns);
      std::memcpy(state.stage_ns, report.stage_ns, sizeof state.stage_ns);
    } else if (report.kind == container::ReportKind::failed) {
      return failed(index, report.sys_errno, container::step_name(report.step), report.detail);
    }
  }
}

void Launches::launched(std::uint32_t index) noexcept {
  Entry& entry = table_.at(index);
  Life& state = lives_.at(index);
  UniqueFd channel(std::exchange(state.channel, 0) - 1);
  entry.started_at_ns = realtime_now_ns();
  --launching_;
  if (std::exchange(zombie_waits_, false)) reap_wanted_ = true;
  table_.publish(index, EntryState::running);
  pump_.start(index);
  outbox_.say(index, kSayLaunched);
}

void Launches::failed(std::uint32_t index, int sys_errno, const char* step,
                      std::string_view text) noexcept {
  Entry& entry = table_.at(index);
  Life& state = lives_.at(index);
  if (state.channel != 0) UniqueFd channel(std::exchange(state.channel, 0) - 1);
  if (state.helper != 0) {
    state.helper = 0;
    --helpers_;
  }
  // It is on its way out by itself, or must not go on.
  if (entry.pidfd >= 0) static_cast<void>(sys::pidfd_send_signal(entry.pidfd, SIGKILL));
  close_descriptors(entry);
  --launching_;
  reap_wanted_ = true;
  state.launch_errno = sys_errno;
  if (agent_.is_open() && agent_.is_writable() && !outbox_.listing() && state.launch_request != 0) {
    agent_.refuse(state.launch_request, MessageType::launch, sys_errno, step, text);
    table_.free(index);
  } else {
    outbox_.say(index, kSayLaunchFailed);
  }
}

}  // namespace berth::keeper
