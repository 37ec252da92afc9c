// SPDX-License-Identifier: Apache-2.0
// The life of a process: launch, exit, forget.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/units.h"
#include "core/container/plan_view.h"
#include "core/container/report.h"
#include "core/container/spawn.h"
#include "core/keeper/entry_record.h"
#include "core/keeper/keeper.h"
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

void Keeper::take_early_fds(Incoming& message) noexcept {
  if (early_fds_.request != message.header().request) drop_early_fds();
  early_fds_.request = message.header().request;
  for (int i = 0; i < message.fd_count() && early_fds_.count < container::kPlanFdsMax; ++i) {
    early_fds_.fds[early_fds_.count++] = message.take_fd(i).release();
  }
}

void Keeper::drop_early_fds() noexcept {
  for (std::uint32_t i = 0; i < early_fds_.count; ++i) UniqueFd closed(early_fds_.fds[i]);
  early_fds_.count = 0;
}

void Keeper::launch(Incoming& message) noexcept {
  // Of a launch that its caller gave up.
  if (early_fds_.request != message.header().request) drop_early_fds();
  start_launch(message);
  drop_early_fds();
}

void Keeper::start_launch(Incoming& message) noexcept {
  const Header& header = message.header();
  const auto* body = message.body<ProcessRecord>();
  constexpr std::uint32_t kAllowed = kFdPlan | kFdLog | kFdOut | kFdErr | kFdStdin | kFdChild;
  if (body == nullptr || !body->id.valid() || (body->fds & kFdPlan) == 0 ||
      (body->fds & ~kAllowed) != 0 || __builtin_popcount(body->fds) > message.fd_count()) {
    return refuse(header.request, header.type, EINVAL, "launch", "malformed request");
  }
  Table& table = station_.table;
  if (table.find_process(body->id.view()) != kNoEntry) {
    return refuse(header.request, header.type, EEXIST, "launch", body->id.view());
  }
  Result<std::uint32_t> made = table.allocate();
  if (!made.ok()) {
    return refuse(header.request, header.type, made.error().sys_errno, made.error().op.c_str(),
                  "keeper.table");
  }
  const std::uint32_t index = *made;
  Entry& entry = table.at(index);
  entry.name = body->id;
  entry.kind = body->kind;
  entry.flags = body->flags;
  entry.launch_ticks = boot_ticks();
  life(index) = {};
  life(index).launch_request = header.request;
  table.publish(index, EntryState::launching);
  ++launching_;
  const int failed = begin_launch(message, index, body->fds);
  if (failed != 0) launch_failed(index, failed, "launch", "");
}

// 0 when there is a child, else an errno.
int Keeper::begin_launch(Incoming& message, std::uint32_t index, std::uint32_t fds) noexcept {
  Entry& entry = station_.table.at(index);
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
      .shared = station_.table.mapping(),
      .empty_dir = kEmptyDirectory,
      .empty_file = kEmptyFile,
      .proc_fd = station_.proc_dir.get(),
      .bare_root = true,
      .ignores_nothing = true};
  container::SpawnResult spawned;
  const int failed = container::spawn(request, &spawned);
  if (failed != 0) return failed;
  Life& state = life(index);
  state.channel = spawned.channel + 1;
  state.helper = spawned.helper ? 1 : 0;
  helpers_ += spawned.helper ? 1 : 0;
  station_.table.set_pid(index, spawned.pid);
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
  watch(spawned.channel, POLLIN,
        {TokenKind::report, 0, static_cast<std::uint16_t>(entry.serial), index});
  return 0;
}

void Keeper::on_report(std::uint32_t index) noexcept {
  Entry& entry = station_.table.at(index);
  Life& state = life(index);
  while (entry.state == EntryState::launching && state.channel != 0) {
    container::Report report;
    int passed = -1;
    const container::ReadReport read = container::read_report(state.channel - 1, &report, &passed);
    UniqueFd passed_fd(passed);
    if (read == container::ReadReport::nothing_yet) {
      watch(state.channel - 1, POLLIN,
            {TokenKind::report, 0, static_cast<std::uint16_t>(entry.serial), index});
      return;
    }
    if (read != container::ReadReport::message) {
      if (state.ready != 0 && state.helper == 0) return launched(index);
      return launch_failed(index, ECHILD, "launch", "the process was killed before its exec");
    }
    if (report.kind == container::ReportKind::created && state.helper != 0) {
      Result<UniqueFd> pidfd = sys::pidfd_open(report.pid);
      if (!pidfd.ok()) return launch_failed(index, pidfd.error().sys_errno, "pidfd_open", "");
      state.helper = 0;
      --helpers_;
      reap_again_ = true;
      UniqueFd helper(std::exchange(entry.pidfd, pidfd->release()));
      station_.table.set_pid(index, report.pid);
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
      return launch_failed(index, report.sys_errno, container::step_name(report.step),
                           report.detail);
    }
  }
}

void Keeper::launched(std::uint32_t index) noexcept {
  Entry& entry = station_.table.at(index);
  Life& state = life(index);
  UniqueFd channel(std::exchange(state.channel, 0) - 1);
  entry.started_at_ns = realtime_now_ns();
  --launching_;
  if (std::exchange(zombie_waits_, false)) reap_again_ = true;
  station_.table.publish(index, EntryState::running);
  pump_->start(index);
  say(index, kSayLaunched);
}

void Keeper::launch_failed(std::uint32_t index, int sys_errno, const char* step,
                           std::string_view text) noexcept {
  Entry& entry = station_.table.at(index);
  Life& state = life(index);
  if (state.channel != 0) UniqueFd channel(std::exchange(state.channel, 0) - 1);
  if (state.helper != 0) {
    state.helper = 0;
    --helpers_;
  }
  // It is on its way out by itself, or must not go on.
  if (entry.pidfd >= 0) static_cast<void>(sys::pidfd_send_signal(entry.pidfd, SIGKILL));
  close_process(index);
  --launching_;
  reap_again_ = true;
  state.launch_errno = sys_errno;
  if (connection_.valid() && !stalled_out_ && !stalled_ && !listing_.active &&
      state.launch_request != 0) {
    refuse(state.launch_request, MessageType::launch, sys_errno, step, text);
    station_.table.free(index);
  } else {
    say(index, kSayLaunchFailed);
  }
}

// Each zombie is looked at first, recorded, and only then reaped: killed in between, a successor
// finds the code in the table.
void Keeper::reap() noexcept {
  reap_again_ = false;
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) {
      return;
    }
    std::uint32_t index = station_.table.find_pid(info.si_pid);
    if (index != kNoEntry && station_.table.at(index).state == EntryState::launching) {
      // What it said before it died comes first; a helper's report gives the entry another pid.
      on_report(index);
      index = station_.table.find_pid(info.si_pid);
    }
    // A process made by a helper is nobody's until the helper names it, and must stay a zombie so
    // long.
    if (index == kNoEntry && helpers_ > 0) return;
    if (index != kNoEntry && station_.table.at(index).state == EntryState::running) {
      const int code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
      ended(index, code);
    } else if (index != kNoEntry && life(index).channel != 0) {
      if (life(index).helper == 0) {
        // It has come to its end before the helper that made it: only the end of the channel, which
        // the helper still holds, tells whether it came to its exec. Until then it stays a zombie.
        zombie_waits_ = true;
        return;
      }
      launch_failed(index, ECHILD, "launch", "the process was killed before its exec");
    }
    siginfo_t ignored{};
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &ignored, WEXITED | WNOHANG | __WALL);
  }
}

void Keeper::ended(std::uint32_t index, std::optional<int> exit_code) noexcept {
  Entry& entry = station_.table.at(index);
  entry.exit_code = exit_code.value_or(0);
  entry.exit_known = exit_code.has_value() ? 1 : 0;
  entry.finished_at_ns = realtime_now_ns();
  station_.table.publish(index, EntryState::exited);
  // The answer of a launch that is not told yet still carries it.
  if ((life(index).say & kSayLaunched) == 0) UniqueFd pidfd(std::exchange(entry.pidfd, -1));
  UniqueFd stdin_fd(std::exchange(entry.stdin_fd, -1));
  life(index).exit_waits = 1;
  pump_->drain(index);
}

// An adopted process ended. Its parent is the agent (a subreaper) or init, so the code comes from
// the agent's waitid, or from the pidfd once it was reaped; else it is unknown.
void Keeper::on_pidfd(std::uint32_t index) noexcept {
  constexpr std::uint8_t kTries = 25;
  static const __kernel_timespec kPause{0, 100 * kNanosecondsPerMillisecond};
  Entry& entry = station_.table.at(index);
  if (entry.state != EntryState::running || entry.pidfd < 0) return;
  Result<sys::PidfdInfo> info = sys::pidfd_get_info(entry.pidfd);
  if (info.ok() && info->exit) return ended(index, info->exit->exit_code);
  Life& state = life(index);
  if (state.exit_tries == kTries) return ended(index, std::nullopt);
  if (state.exit_tries % 8 == 0) say(index, kSayReapPlease);
  ++state.exit_tries;
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_timeout(sqe, const_cast<__kernel_timespec*>(&kPause), 0, 0);
  sqe->user_data =
      Token{TokenKind::exit_retry, 0, static_cast<std::uint16_t>(entry.serial), index}.pack();
}

void Keeper::forget(std::uint64_t request, std::uint32_t index) noexcept {
  if (station_.table.at(index).state != EntryState::exited) {
    return refuse(request, MessageType::forget, EBUSY, "forget", "it still runs");
  }
  Life& state = life(index);
  if (state.forgetting != 0) {
    return refuse(request, MessageType::forget, EALREADY, "forget", "being done");
  }
  state.forgetting = 1;
  state.forget_request = request;
  pump_->drain(index);
}

void Keeper::drained(std::uint32_t index) {
  Life& state = life(index);
  if (state.exit_waits != 0) {
    state.exit_waits = 0;
    say(index, kSayExit);
  }
  if (state.forgetting == 0 || !pump_->close(index)) return;
  close_process(index);
  if (state.reopen_request != 0) say(index, kSayReopened);
  say(index, kSayForgotten);
}

void Keeper::log_reopened(std::uint32_t index) {
  if (life(index).reopen_request != 0) say(index, kSayReopened);
}

void Keeper::close_process(std::uint32_t index) noexcept {
  Entry& entry = station_.table.at(index);
  for (std::int32_t* fd : {&entry.pidfd, &entry.log, &entry.stream[kStdout], &entry.stream[kStderr],
                           &entry.stdin_fd}) {
    UniqueFd closed(std::exchange(*fd, -1));
  }
}

}  // namespace berth::keeper
