// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/entry_record.h"

namespace berth::keeper {

ProcessRecord record_of(const Entry& entry) noexcept {
  ProcessRecord record;
  record.id = entry.name;
  record.pid = entry.pid;
  record.kind = entry.kind;
  record.flags = entry.flags;
  record.started_at_ns = entry.started_at_ns;
  record.state = entry.state == EntryState::exited    ? ProcessState::exited
                 : entry.state == EntryState::running ? ProcessState::running
                                                      : ProcessState::launching;
  record.exit_code = entry.exit_code;
  record.exit_known = entry.exit_known;
  record.finished_at_ns = entry.finished_at_ns;
  return record;
}

ExitRecord exit_record_of(const Entry& entry) noexcept {
  ExitRecord record;
  record.id = entry.name;
  record.exit_code = entry.exit_code;
  record.exit_known = entry.exit_known;
  record.kind = entry.kind;
  record.finished_at_ns = entry.finished_at_ns;
  return record;
}

int collect_fds(const Entry& entry, std::uint32_t* bits, int* fds) noexcept {
  int count = 0;
  *bits = 0;
  const auto add = [&](FdBit bit, int fd) {
    if (fd < 0) return;
    *bits |= bit;
    fds[count++] = fd;
  };
  add(kFdPidfd, entry.pidfd);
  add(kFdLog, entry.log);
  add(kFdOut, entry.stream[kStdout]);
  add(kFdErr, entry.stream[kStderr]);
  add(kFdStdin, entry.stdin_fd);
  return count;
}

void close_descriptors(Entry& entry) noexcept {
  for (std::int32_t* fd : {&entry.pidfd, &entry.log, &entry.stream[kStdout], &entry.stream[kStderr],
                           &entry.stdin_fd}) {
    UniqueFd closed(std::exchange(*fd, -1));
  }
}

}  // namespace berth::keeper
