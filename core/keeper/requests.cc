// SPDX-License-Identifier: Apache-2.0
// What the agent asks for. Every request gets one answer; descriptors nobody took are closed with
// the message.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "core/keeper/build_id.h"
#include "core/keeper/entry_record.h"
#include "core/keeper/keeper.h"

namespace berth::keeper {

void Keeper::handle(Incoming& message) noexcept {
  const Header& header = message.header();
  if (header.type == MessageType::hello) return handle_hello(message);
  if (!greeted_) return refuse(header.request, header.type, EPROTO, "hello", "expected first");
  if (header.type == MessageType::build) return tell_build(header);
  const bool handing_over = header.type == MessageType::adopt_process ||
                            header.type == MessageType::adopt_held ||
                            header.type == MessageType::adopt_done;
  if (handing_over != station_.fresh) {
    return refuse(header.request, header.type, EBUSY, "handover",
                  station_.fresh ? "not done yet" : "done already");
  }
  switch (header.type) {
    case MessageType::launch_fds:
      return take_early_fds(message);
    case MessageType::launch:
      return launch(message);
    case MessageType::list:
    case MessageType::held:
      listing_ = {header.request, 0, header.type == MessageType::held, true};
      return;
    case MessageType::adopt_process:
      if (const auto* body = message.body<ProcessRecord>(); body != nullptr && body->id.valid()) {
        return adopt_process(message, *body);
      }
      break;
    case MessageType::adopt_done:
      return adopt_done(message);
    case MessageType::record_exit:
      if (const auto* body = message.body<ExitRecord>(); body != nullptr && body->id.valid()) {
        return record_exit(message, *body);
      }
      break;
    case MessageType::reexec:
      if (message.fd_count() != 1) break;
      reexec_binary_ = message.take_fd(0);
      reexec_request_ = header.request;
      return;
    case MessageType::shutdown:
      return shut_down(header);
    default:
      if (const auto* body = message.body<NameBody>(); body != nullptr && body->name.valid()) {
        return handle_named(message, *body);
      }
      break;
  }
  refuse(header.request, header.type, EINVAL, "request", "malformed or unknown");
}

void Keeper::handle_hello(Incoming& message) noexcept {
  greeted_ = true;
  const HelloAnswer body{.pid = ::getpid(),
                         .processes = station_.table.processes(),
                         .held = station_.table.held(),
                         .fresh = station_.fresh ? std::uint8_t{1} : std::uint8_t{0},
                         .plan_version = container::kPlanVersion};
  // A fresh keeper has no staging pipes to share yet: adopt_done's answer carries them.
  int fds[kLogSlots * 2];
  const size_t count = station_.fresh ? 0 : staging_fds(fds);
  // It is the first message of its connection: there is always room for it.
  if (!tell(MessageType::hello, message.header().request, body, std::span(fds, count))) {
    drop_connection();
  }
}

void Keeper::tell_build(const Header& header) noexcept {
  const NameBody body{.name = own_build()};
  // The agent connects again.
  if (!tell(header.type, header.request, body)) drop_connection();
}

size_t Keeper::staging_fds(int* fds) noexcept {
  size_t count = 0;
  for (const LogSlot& slot : station_.table.header().slots) {
    fds[count++] = slot.staging_read;
    fds[count++] = slot.staging_write;
  }
  return count;
}

void Keeper::handle_named(Incoming& message, const NameBody& body) noexcept {
  const Header& header = message.header();
  Table& table = station_.table;
  const std::uint32_t process = table.find_process(body.name.view());
  switch (header.type) {
    case MessageType::reopen_log:
      if (process == kNoEntry) break;
      return reopen_log(message, process);
    case MessageType::close_stdin:
      if (process != kNoEntry) UniqueFd closed(std::exchange(table.at(process).stdin_fd, -1));
      return answer(header.request, header.type);
    case MessageType::forget:
      if (process == kNoEntry) return answer(header.request, header.type);
      return forget(header.request, process);
    case MessageType::hold:
      return hold(message, body);
    case MessageType::adopt_held:
      return adopt_held(message, body);
    case MessageType::drop: {
      const std::uint32_t held = table.find_held(body.name.view());
      if (held != kNoEntry) drop(held);
      return answer(header.request, header.type);
    }
    default:
      return refuse(header.request, header.type, EINVAL, "request", "unknown");
  }
  refuse(header.request, header.type, ENOENT, "find process", body.name.view());
}

void Keeper::reopen_log(Incoming& message, std::uint32_t entry) noexcept {
  const Header& header = message.header();
  UniqueFd log = message.take_fd(0);
  if (!log.valid()) return refuse(header.request, header.type, EBADF, "reopen_log");
  if (!listable(station_.table.at(entry)) || life(entry).forgetting != 0) {
    pump_->close_log(log.release());
    return refuse(header.request, header.type, EBUSY, "reopen_log", "not running");
  }
  if (life(entry).reopen_request != 0) {
    pump_->close_log(log.release());
    return refuse(header.request, header.type, EBUSY, "reopen_log", "one is being done");
  }
  life(entry).reopen_request = header.request;
  pump_->reopen(entry, std::move(log));
}

void Keeper::hold(Incoming& message, const NameBody& body) noexcept {
  const Header& header = message.header();
  const int count = message.fd_count();
  if (count < 1 || count > kHeldFdsMax) {
    return refuse(header.request, header.type, EINVAL, "hold", "1 to 8 descriptors");
  }
  Table& table = station_.table;
  const std::uint32_t known = table.find_held(body.name.view());
  Result<std::uint32_t> made = table.allocate();
  if (!made.ok()) {
    return refuse(header.request, header.type, made.error().sys_errno, made.error().op,
                  "keeper.table");
  }
  if (known != kNoEntry) drop(known);
  Entry& entry = table.at(*made);
  entry.name = body.name;
  for (int i = 0; i < count; ++i) entry.held[i] = message.take_fd(i).release();
  entry.held_count = static_cast<std::uint8_t>(count);
  table.publish(*made, EntryState::held);
  answer(header.request, header.type);
}

void Keeper::drop(std::uint32_t index) noexcept {
  const Entry entry = station_.table.at(index);
  station_.table.free(index);
  for (int i = 0; i < entry.held_count; ++i) UniqueFd closed(entry.held[i]);
}

// The agent reaped a process whose parent it became when an earlier keeper died.
void Keeper::record_exit(Incoming& message, const ExitRecord& record) noexcept {
  const std::uint32_t entry = station_.table.find_process(record.id.view());
  if (entry != kNoEntry && station_.table.at(entry).state == EntryState::running &&
      station_.table.at(entry).adopted != 0) {
    ended(entry, record.exit_known != 0 ? std::optional<int>(record.exit_code) : std::nullopt);
  }
  answer(message.header().request, MessageType::record_exit);
}

void Keeper::shut_down(const Header& header) noexcept {
  if (station_.table.processes() != 0 || station_.table.held() != 0) {
    return refuse(header.request, header.type, EBUSY, "shutdown", "something is still held");
  }
  for (const char* name : {"keeper.sock", "keeper.table", "keeper.lock"}) {
    ::unlinkat(station_.state_dir.get(), name, 0);
  }
  answer(header.request, header.type);
  done_ = true;
}

}  // namespace berth::keeper
