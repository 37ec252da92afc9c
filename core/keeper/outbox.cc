// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/outbox.h"

#include <cstring>
#include <span>
#include <utility>

#include "core/keeper/entry_record.h"

namespace berth::keeper {
namespace {

bool has(const Life& life, Say what) noexcept {
  return (life.say & what) != 0;
}

void done(Life& life, Say what) noexcept {
  life.say &= static_cast<std::uint8_t>(~what);
}

}  // namespace

void Outbox::say(std::uint32_t entry, Say what) noexcept {
  Life& life = lives_.at(entry);
  life.say |= what;
  if (life.queued != 0) return;
  life.queued = 1;
  life.next = kNoEntry;
  if (last_ == kNoEntry) {
    first_ = entry;
  } else {
    lives_.at(last_).next = entry;
  }
  last_ = entry;
}

bool Outbox::flush() noexcept {
  if (!flush_listing()) return false;
  while (first_ != kNoEntry) {
    const std::uint32_t entry = first_;
    if (!speak(entry)) return false;
    Life& life = lives_.at(entry);
    first_ = life.next;
    if (first_ == kNoEntry) last_ = kNoEntry;
    life.queued = 0;
  }
  return true;
}

void Outbox::clear() noexcept {
  listing_ = {};
  while (first_ != kNoEntry) {
    const std::uint32_t entry = first_;
    Life& life = lives_.at(entry);
    first_ = life.next;
    const bool gone = has(life, kSayForgotten) || has(life, kSayLaunchFailed);
    life.say = life.queued = 0;
    if (gone) table_.free(entry);
  }
  last_ = kNoEntry;
}

// One after the other, in the order in which they happen in a process's life.
bool Outbox::speak(std::uint32_t index) noexcept {
  Life& life = lives_.at(index);
  Entry& entry = table_.at(index);
  if (has(life, kSayLaunched) && !tell_launched(life, entry)) return false;
  if (has(life, kSayReopened)) {
    const Header header{.type = MessageType::reopen_log, .request = life.reopen_request};
    if (!agent_.tell(header, {}, {})) return false;
    life.reopen_request = 0;
    done(life, kSayReopened);
  }
  if (has(life, kSayReapPlease)) {
    if (!agent_.tell(MessageType::reap_please, 0, exit_record_of(entry))) return false;
    done(life, kSayReapPlease);
  }
  if (has(life, kSayExit)) {
    if (!agent_.tell(MessageType::exited, 0, exit_record_of(entry))) return false;
    done(life, kSayExit);
  }
  return tell_last(index, life);
}

bool Outbox::tell_launched(Life& life, Entry& entry) noexcept {
  LaunchAnswer body;
  int fds[2];
  size_t count = 0;
  body.record = record_of(entry);
  body.record.fds = kFdPidfd;
  fds[count++] = entry.pidfd;
  if ((entry.flags & kTerminal) != 0 && entry.stream[kStdout] >= 0) {
    body.record.fds |= kFdOut;
    fds[count++] = entry.stream[kStdout];
  }
  std::memcpy(body.stage_ns, life.stage_ns, sizeof body.stage_ns);
  const std::span<const int> sent(fds, count);
  if (!agent_.tell(MessageType::launch, life.launch_request, body, sent)) return false;
  life.launch_request = 0;
  done(life, kSayLaunched);
  if (entry.state == EntryState::exited) UniqueFd pidfd(std::exchange(entry.pidfd, -1));
  return true;
}

// The messages with which the entry goes.
bool Outbox::tell_last(std::uint32_t index, Life& life) noexcept {
  if (has(life, kSayLaunchFailed)) {
    const Header header{.type = MessageType::launch,
                        .request = life.launch_request,
                        .sys_errno = life.launch_errno};
    if (!agent_.tell(header, {}, {})) return false;
    done(life, kSayLaunchFailed);
    table_.free(index);
  }
  if (has(life, kSayForgotten)) {
    const Header header{.type = MessageType::forget, .request = life.forget_request};
    if (!agent_.tell(header, {}, {})) return false;
    done(life, kSayForgotten);
    table_.free(index);
  }
  return true;
}

bool Outbox::flush_listing() noexcept {
  while (listing_.active) {
    while (listing_.next < table_.size() &&
           (listing_.held ? table_.at(listing_.next).state != EntryState::held
                          : !listable(table_.at(listing_.next)))) {
      ++listing_.next;
    }
    const MessageType type = listing_.held ? MessageType::held : MessageType::list;
    if (listing_.next == table_.size()) {
      if (!agent_.tell(Header{.type = type, .request = listing_.request}, {}, {})) return false;
      listing_ = {};
      return true;
    }
    if (!tell_listed(type, table_.at(listing_.next))) return false;
    ++listing_.next;
  }
  return true;
}

bool Outbox::tell_listed(MessageType type, const Entry& entry) noexcept {
  if (listing_.held) {
    const NameBody body{entry.name};
    return agent_.tell(type, listing_.request, body, std::span(entry.held, entry.held_count));
  }
  int fds[kFdBits];
  ProcessRecord body = record_of(entry);
  const int count = collect_fds(entry, &body.fds, fds);
  return agent_.tell(type, listing_.request, body, std::span(fds, static_cast<size_t>(count)));
}

}  // namespace berth::keeper
