// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "core/keeper/build_id.h"
#include "core/keeper/entry_record.h"
#include "core/keeper/poll.h"

namespace berth::keeper {
namespace {

constexpr int kMessagesPerTurn = 16;

bool is_handover(MessageType type) noexcept {
  return type == MessageType::adopt_process || type == MessageType::adopt_held ||
         type == MessageType::adopt_done;
}

}  // namespace

Status Keeper::open() {
  TRY_(lives_.open());
  TRY_(pump_.open());
  if (environment_.fresh) {
    parts_.handover.begin();
  } else {
    TRY_(pump_.open_staging());
    parts_.handover.start_all();
  }
  watch(ring_, environment_.listener.get(), POLLIN, {TokenKind::listener, 0, 0, 0});
  watch(ring_, environment_.signals.get(), POLLIN, {TokenKind::child_signal, 0, 0, 0});
  if (environment_.connection.valid()) connect(std::move(environment_.connection));
  if (environment_.reexec_request != 0) {
    agent_.set_greeted();  // by the program that was here before
    agent_.answer(std::exchange(environment_.reexec_request, 0), MessageType::reexec);
  }
  parts_.exits.reap();
  return {};
}

Status Keeper::run() {
  while (!done_) {
    if (parts_.reexec.asked()) parts_.reexec.try_now();
    const bool more = pump_.run(parts_.reexec.asked());
    flush();
    const int failed = ring_.submit_and_wait(more ? 0 : 1);
    if (failed != 0 && failed != -EINTR && failed != -EBUSY && failed != -EAGAIN) {
      return sys_error(-failed, "io_uring_enter");
    }
    ring_.for_each_cqe([this](std::uint64_t data, int result, unsigned) {
      dispatch(Token::unpack(data), result);
    });
    if (parts_.launches.take_reap_wanted()) parts_.exits.reap();
  }
  return {};
}

void Keeper::dispatch(Token token, int result) noexcept {
  switch (token.kind) {
    case TokenKind::ignored:
      return;
    case TokenKind::listener:
      accept_agent();
      return watch(ring_, environment_.listener.get(), POLLIN, token);
    case TokenKind::child_signal: {
      signalfd_siginfo ignored;
      while (::read(environment_.signals.get(), &ignored, sizeof ignored) > 0) continue;
      watch(ring_, environment_.signals.get(), POLLIN, token);
      return parts_.exits.reap();
    }
    case TokenKind::connection_in:
      if (agent_.on_readable(token)) read_requests();
      return;
    case TokenKind::connection_out:
      return agent_.on_writable(token);
    case TokenKind::log_write:
      return pump_.on_written(token.index, result);
    case TokenKind::log_retry:
      return pump_.on_retry();
    case TokenKind::log_closed:
      return pump_.on_closed();
    case TokenKind::reexec_limit:
      return parts_.reexec.on_limit(token);
    default:
      return dispatch_entry(token, result);
  }
}

// The entry may be another process's by now.
void Keeper::dispatch_entry(Token token, int result) noexcept {
  if (token.index >= environment_.table.size()) return;
  const Entry& entry = environment_.table.at(token.index);
  if (!entry.is_process() || static_cast<std::uint16_t>(entry.serial) != token.serial) return;
  if (token.kind == TokenKind::stream && result != -ECANCELED) {
    pump_.on_stream(token.index, static_cast<Stream>(token.arg));
  } else if (token.kind == TokenKind::report) {
    parts_.launches.on_report(token.index);
  } else if (token.kind == TokenKind::pidfd || token.kind == TokenKind::exit_retry) {
    parts_.exits.on_pidfd(token.index);
  }
}

void Keeper::accept_agent() noexcept {
  UniqueFd socket(::accept4(environment_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) return;
  // The mode of the socket file keeps others out; a descriptor that was passed around does not.
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != 0) {
    return;
  }
  connect(std::move(socket));
}

void Keeper::connect(UniqueFd socket) noexcept {
  disconnect();
  agent_.open(std::move(socket));
}

void Keeper::disconnect() noexcept {
  if (!agent_.is_open()) return;
  agent_.close();
  parts_.reexec.cancel();
  parts_.launches.drop_descriptors();
  outbox_.clear();
  for (std::uint32_t i = 0; i < environment_.table.size(); ++i) {
    Life& life = lives_.at(i);
    life.launch_request = life.reopen_request = life.forget_request = 0;
  }
}

void Keeper::read_requests() noexcept {
  for (int i = 0; i < kMessagesPerTurn && agent_.is_open(); ++i) {
    // One answer at a time: a peer that does not read gets no more of its requests read.
    if (!agent_.is_writable() || outbox_.listing() || parts_.reexec.asked() || done_) break;
    Incoming& incoming = agent_.incoming();
    Result<bool> received = agent_.receive();
    if (!received.ok() && received.error().sys_errno == EAGAIN) break;
    const bool readable = received.ok() ? *received : received.error().sys_errno == EPROTO;
    if (!readable) return disconnect();
    if (!received.ok()) {
      agent_.refuse(incoming.header().request, incoming.header().type, EPROTO, "hello",
                    "another version of the protocol");
      return disconnect();
    }
    handle(incoming);
    incoming.close_fds();
  }
  flush();
}

void Keeper::flush() noexcept {
  if (!agent_.flush() || !outbox_.flush()) return;
  if (!parts_.reexec.asked()) agent_.watch_requests();
}

// Every request gets one answer; descriptors that are not taken are closed with the message.
void Keeper::handle(Incoming& message) noexcept {
  const Header& header = message.header();
  if (header.type == MessageType::hello) return greet(header);
  if (!agent_.greeted()) {
    return agent_.refuse(header.request, header.type, EPROTO, "hello", "expected first");
  }
  if (header.type == MessageType::build) return tell_build(header);
  if (is_handover(header.type) != environment_.fresh) {
    return agent_.refuse(header.request, header.type, EBUSY, "handover",
                         environment_.fresh ? "not done yet" : "done already");
  }
  switch (header.type) {
    case MessageType::launch_fds:
      return parts_.launches.take_descriptors(message);
    case MessageType::launch:
      return parts_.launches.launch(message);
    case MessageType::list:
    case MessageType::held:
      return outbox_.list(header.request, header.type == MessageType::held);
    case MessageType::record_exit:
      if (const auto* body = message.body<ExitRecord>(); body != nullptr && body->id.valid()) {
        return record_exit(header, *body);
      }
      break;
    case MessageType::reexec:
      if (message.fd_count() != 1) break;
      return parts_.reexec.ask(message.take_fd(0), header.request);
    case MessageType::shutdown:
      return shut_down(header);
    default:
      if (is_handover(header.type) && handle_handover(message)) return;
      if (const auto* body = message.body<NameBody>(); body != nullptr && body->name.valid()) {
        return handle_named(message, *body);
      }
      break;
  }
  agent_.refuse(header.request, header.type, EINVAL, "request", "malformed or unknown");
}

// False: malformed.
bool Keeper::handle_handover(Incoming& message) noexcept {
  Handover& handover = parts_.handover;
  if (message.header().type == MessageType::adopt_done) {
    if (!handover.adopt_done(message)) disconnect();
    return true;
  }
  if (message.header().type == MessageType::adopt_process) {
    const auto* body = message.body<ProcessRecord>();
    if (body == nullptr || !body->id.valid()) return false;
    handover.adopt_process(message, *body);
    return true;
  }
  const auto* body = message.body<NameBody>();
  if (body == nullptr || !body->name.valid()) return false;
  handover.adopt_held(message, *body);
  return true;
}

void Keeper::greet(const Header& header) noexcept {
  agent_.set_greeted();
  Table& table = environment_.table;
  const HelloAnswer body{.pid = ::getpid(),
                         .processes = table.processes(),
                         .held = table.held(),
                         .fresh = environment_.fresh ? std::uint8_t{1} : std::uint8_t{0},
                         .plan_version = container::kPlanVersion};
  // A fresh keeper has no staging pipes to share yet: adopt_done's answer carries them.
  int fds[kLogSlots * 2];
  const size_t count = environment_.fresh ? 0 : staging_fds(table, fds);
  // It is the first message of its connection: there is always room for it.
  if (!agent_.tell(MessageType::hello, header.request, body, std::span(fds, count))) disconnect();
}

void Keeper::tell_build(const Header& header) noexcept {
  const NameBody body{.name = own_build()};
  // The agent connects again.
  if (!agent_.tell(header.type, header.request, body)) disconnect();
}

void Keeper::handle_named(Incoming& message, const NameBody& body) noexcept {
  const Header& header = message.header();
  Table& table = environment_.table;
  const std::uint32_t process = table.find_process(body.name.view());
  switch (header.type) {
    case MessageType::reopen_log:
      if (process == kNoEntry) break;
      return reopen_log(message, process);
    case MessageType::close_stdin:
      if (process != kNoEntry) UniqueFd closed(std::exchange(table.at(process).stdin_fd, -1));
      return agent_.answer(header.request, header.type);
    case MessageType::forget:
      if (process == kNoEntry) return agent_.answer(header.request, header.type);
      return parts_.exits.forget(header.request, process);
    case MessageType::hold:
      return parts_.holds.hold(message, body);
    case MessageType::drop:
      parts_.holds.drop(body);
      return agent_.answer(header.request, header.type);
    default:
      return agent_.refuse(header.request, header.type, EINVAL, "request", "unknown");
  }
  agent_.refuse(header.request, header.type, ENOENT, "find process", body.name.view());
}

void Keeper::reopen_log(Incoming& message, std::uint32_t entry) noexcept {
  const Header& header = message.header();
  UniqueFd log = message.take_fd(0);
  if (!log.valid()) return agent_.refuse(header.request, header.type, EBADF, "reopen_log");
  Life& life = lives_.at(entry);
  const char* why_not = nullptr;
  if (!listable(environment_.table.at(entry)) || life.forgetting != 0) {
    why_not = "not running";
  } else if (life.reopen_request != 0) {
    why_not = "one is being done";
  }
  if (why_not != nullptr) {
    pump_.close_log(log.release());
    return agent_.refuse(header.request, header.type, EBUSY, "reopen_log", why_not);
  }
  life.reopen_request = header.request;
  pump_.reopen(entry, std::move(log));
}

// The agent reaped a process whose parent it became when an earlier keeper died.
void Keeper::record_exit(const Header& header, const ExitRecord& record) noexcept {
  Table& table = environment_.table;
  const std::uint32_t entry = table.find_process(record.id.view());
  if (entry != kNoEntry && table.at(entry).state == EntryState::running &&
      table.at(entry).adopted != 0) {
    const bool known = record.exit_known != 0;
    parts_.exits.ended(entry, known ? std::optional<int>(record.exit_code) : std::nullopt);
  }
  agent_.answer(header.request, MessageType::record_exit);
}

void Keeper::shut_down(const Header& header) noexcept {
  if (environment_.table.processes() != 0 || environment_.table.held() != 0) {
    return agent_.refuse(header.request, header.type, EBUSY, "shutdown", "something is still held");
  }
  for (const char* name : {"keeper.sock", "keeper.table", "keeper.lock"}) {
    ::unlinkat(environment_.state_dir.get(), name, 0);
  }
  agent_.answer(header.request, header.type);
  done_ = true;
}

void Keeper::drained(std::uint32_t entry) {
  parts_.exits.drained(entry);
}

void Keeper::log_reopened(std::uint32_t entry) {
  if (lives_.at(entry).reopen_request != 0) outbox_.say(entry, kSayReopened);
}

}  // namespace berth::keeper
