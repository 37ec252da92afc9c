// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/units.h"

namespace berth::keeper {
namespace {

// Containers that write wait for so long at most.
constexpr std::int64_t kLimitNs = 2 * kNanosecondsPerSecond;

}  // namespace

void Reexec::ask(UniqueFd binary, std::uint64_t request) noexcept {
  binary_ = std::move(binary);
  request_ = request;
  ++asked_;
  arm_limit();
}

void Reexec::cancel() noexcept {
  binary_.reset();
  request_ = 0;
}

void Reexec::arm_limit() noexcept {
  static __kernel_timespec limit{kLimitNs / kNanosecondsPerSecond,
                                 kLimitNs % kNanosecondsPerSecond};
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_timeout(sqe, &limit, 0, 0);
  sqe->user_data = Token{TokenKind::reexec_limit, 0, 0, asked_}.pack();
}

void Reexec::on_limit(Token token) noexcept {
  if (!asked() || token.index != asked_) return;
  const std::uint64_t request = request_;
  cancel();
  agent_.refuse(request, MessageType::reexec, EBUSY, "reexec", "a log or a launch does not end");
}

bool Reexec::is_quiet() noexcept {
  if (!pump_.quiet() || launches_.any() || !outbox_.empty() || !agent_.is_writable()) return false;
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Life& state = lives_.at(i);
    const bool busy = state.exit_waits != 0 || state.forgetting != 0 || state.reopen_request != 0;
    if (table_.at(i).is_process() && busy) return false;
  }
  return true;
}

void Reexec::keep_across_exec(bool keep) noexcept {
  const auto mark = [keep](int fd) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
  };
  for (const UniqueFd* fd : {&environment_.state_dir, &environment_.lock, &environment_.listener,
                             &environment_.proc_dir}) {
    mark(fd->get());
  }
  mark(agent_.fd());
  mark(table_.fd());
  for (const LogSlot& slot : table_.header().slots) {
    mark(slot.staging_read);
    mark(slot.staging_write);
  }
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Entry& entry = table_.at(i);
    if (entry.state == EntryState::free) continue;
    for (const int fd :
         {entry.pidfd, entry.log, entry.stream[0], entry.stream[1], entry.stdin_fd}) {
      mark(fd);
    }
    for (const int fd : entry.held) mark(fd);
  }
}

void Reexec::try_now() noexcept {
  if (!is_quiet()) return;
  keep_across_exec(true);
  char numbers[160];
  ::fcntl(binary_.get(), F_SETFD, 0);
  ::snprintf(numbers, sizeof numbers, "%d,%d,%d,%d,%d,%d,%llu,%d", environment_.state_dir.get(),
             environment_.lock.get(), environment_.listener.get(), environment_.proc_dir.get(),
             table_.fd(), agent_.fd(), static_cast<unsigned long long>(request_), binary_.get());
  char name[] = "berth-keeper";
  char resume_option[] = "--resume";
  char* arguments[] = {name, resume_option, numbers, nullptr};
  char* environment[] = {nullptr};
  ::syscall(SYS_execveat, binary_.get(), "", arguments, environment, AT_EMPTY_PATH);
  const int failed = errno;
  keep_across_exec(false);
  binary_.reset();
  agent_.refuse(std::exchange(request_, 0), MessageType::reexec, failed, "execveat",
                "the new keeper");
}

}  // namespace berth::keeper
