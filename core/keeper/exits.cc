// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/exits.h"

#include <errno.h>
#include <sys/wait.h>

#include <utility>

#include "core/base/units.h"
#include "core/keeper/entry_record.h"
#include "core/keeper/token.h"
#include "core/linux/pidfd.h"

namespace berth::keeper {

// Each zombie is looked at first, recorded, and only then reaped: killed in between, a successor
// finds the code in the table.
void Exits::reap() noexcept {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) {
      return;
    }
    std::uint32_t index = table_.find_pid(info.si_pid);
    if (index != kNoEntry && table_.at(index).state == EntryState::launching) {
      // What it said before it died comes first; a helper's report gives the entry another pid.
      launches_.on_report(index);
      index = table_.find_pid(info.si_pid);
    }
    // A process made by a helper has no entry until the helper names it, and must stay a zombie
    // until then.
    if (index == kNoEntry && launches_.has_helpers()) return;
    if (index != kNoEntry && table_.at(index).state == EntryState::running) {
      const int code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
      ended(index, code);
    } else if (index != kNoEntry && lives_.at(index).channel != 0) {
      if (lives_.at(index).helper == 0) {
        // It has come to its end before the helper that made it: only the end of the channel, which
        // the helper still holds, tells whether it came to its exec. Until then it stays a zombie.
        launches_.note_zombie();
        return;
      }
      launches_.failed(index, ECHILD, "launch", "the process was killed before its exec");
    }
    siginfo_t ignored{};
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &ignored, WEXITED | WNOHANG | __WALL);
  }
}

void Exits::ended(std::uint32_t index, std::optional<int> exit_code) noexcept {
  Entry& entry = table_.at(index);
  entry.exit_code = exit_code.value_or(0);
  entry.exit_known = exit_code.has_value() ? 1 : 0;
  entry.finished_at_ns = realtime_now_ns();
  table_.publish(index, EntryState::exited);
  // The answer of a launch that has not been sent yet carries it.
  if ((lives_.at(index).say & kSayLaunched) == 0) UniqueFd pidfd(std::exchange(entry.pidfd, -1));
  UniqueFd stdin_fd(std::exchange(entry.stdin_fd, -1));
  lives_.at(index).exit_waits = 1;
  pump_.drain(index);
}

// An adopted process ended. Its parent is the agent (a subreaper) or init, so the code comes from
// the agent's waitid, or from the pidfd once it was reaped; else it is unknown.
void Exits::on_pidfd(std::uint32_t index) noexcept {
  constexpr std::uint8_t kTries = 25;
  static const __kernel_timespec kPause{0, 100 * kNanosecondsPerMillisecond};
  Entry& entry = table_.at(index);
  if (entry.state != EntryState::running || entry.pidfd < 0) return;
  Result<sys::PidfdInfo> info = sys::pidfd_get_info(entry.pidfd);
  if (info.ok() && info->exit) return ended(index, info->exit->exit_code);
  Life& state = lives_.at(index);
  if (state.exit_tries == kTries) return ended(index, std::nullopt);
  if (state.exit_tries % 8 == 0) outbox_.say(index, kSayReapPlease);
  ++state.exit_tries;
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_timeout(sqe, const_cast<__kernel_timespec*>(&kPause), 0, 0);
  sqe->user_data =
      Token{TokenKind::exit_retry, 0, static_cast<std::uint16_t>(entry.serial), index}.pack();
}

void Exits::forget(std::uint64_t request, std::uint32_t index) noexcept {
  if (table_.at(index).state != EntryState::exited) {
    return agent_.refuse(request, MessageType::forget, EBUSY, "forget", "it still runs");
  }
  Life& state = lives_.at(index);
  if (state.forgetting != 0) {
    return agent_.refuse(request, MessageType::forget, EALREADY, "forget", "being done");
  }
  state.forgetting = 1;
  state.forget_request = request;
  pump_.drain(index);
}

void Exits::drained(std::uint32_t index) noexcept {
  Life& state = lives_.at(index);
  if (state.exit_waits != 0) {
    state.exit_waits = 0;
    outbox_.say(index, kSayExit);
  }
  if (state.forgetting == 0 || !pump_.close(index)) return;
  close_descriptors(table_.at(index));
  if (state.reopen_request != 0) outbox_.say(index, kSayReopened);
  outbox_.say(index, kSayForgotten);
}

}  // namespace berth::keeper
