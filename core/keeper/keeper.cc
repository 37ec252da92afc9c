// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/keeper/entry_record.h"

namespace berth::keeper {
namespace {

constexpr int kMessagesPerTurn = 16;

}  // namespace

Status Keeper::open() {
  constexpr sys::Mmap::Options kMemory{.protection = PROT_READ | PROT_WRITE,
                                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
  TRY(lives_, sys::Mmap::create(-1, sizeof(Life) * kEntriesMax, kMemory, "keeper lives"));
  TRY(LogPump pump, LogPump::create(station_.table, ring_, *this));
  pump_.emplace(std::move(pump));
  if (station_.fresh) {
    begin_fresh();
  } else {
    TRY_(pump_->open_staging());
    resume();
  }
  watch(station_.listener.get(), POLLIN, {TokenKind::listener, 0, 0, 0});
  watch(station_.signals.get(), POLLIN, {TokenKind::child_signal, 0, 0, 0});
  if (station_.connection.valid()) adopt_connection(std::move(station_.connection));
  if (station_.reexec_request != 0) {
    greeted_ = true;  // by the program that was here before
    answer(std::exchange(station_.reexec_request, 0), MessageType::reexec);
  }
  reap();
  return {};
}

Status Keeper::run() {
  while (!done_) {
    if (reexec_binary_.valid()) try_reexec();
    const bool more = pump_->run();
    flush();
    const int failed = ring_.submit_and_wait(more ? 0 : 1);
    if (failed != 0 && failed != -EINTR && failed != -EBUSY && failed != -EAGAIN) {
      return sys_error(-failed, "io_uring_enter");
    }
    ring_.for_each_cqe([this](std::uint64_t data, int result, unsigned) {
      dispatch(Token::unpack(data), result);
    });
    if (reap_again_) reap();
  }
  return {};
}

void Keeper::dispatch(Token token, int result) noexcept {
  switch (token.kind) {
    case TokenKind::ignored:
      return;
    case TokenKind::listener:
      accept_agent();
      watch(station_.listener.get(), POLLIN, token);
      return;
    case TokenKind::child_signal: {
      signalfd_siginfo ignored;
      while (::read(station_.signals.get(), &ignored, sizeof ignored) > 0) continue;
      watch(station_.signals.get(), POLLIN, token);
      reap();
      return;
    }
    case TokenKind::connection_in:
      if (token.serial != connection_serial_) return;
      reading_ = false;
      read_connection();
      return;
    case TokenKind::connection_out:
      if (token.serial == connection_serial_) stalled_out_ = false;
      return;
    case TokenKind::log_write:
      pump_->on_written(token.index, result);
      return;
    case TokenKind::log_retry:
      pump_->on_retry();
      return;
    case TokenKind::log_closed:
      pump_->on_closed();
      return;
    default:
      break;
  }
  // About an entry: it may be another one by now.
  if (token.index >= station_.table.size()) return;
  const Entry& entry = station_.table.at(token.index);
  if (!entry.is_process() || static_cast<std::uint16_t>(entry.serial) != token.serial) return;
  if (token.kind == TokenKind::stream && result != -ECANCELED) {
    pump_->on_stream(token.index, static_cast<Stream>(token.arg));
  } else if (token.kind == TokenKind::report) {
    on_report(token.index);
  } else if (token.kind == TokenKind::pidfd || token.kind == TokenKind::exit_retry) {
    on_pidfd(token.index);
  }
}

void Keeper::watch(int fd, unsigned events, Token token) noexcept {
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = token.pack();
}

Keeper::Life& Keeper::life(std::uint32_t entry) noexcept {
  return *(reinterpret_cast<Life*>(lives_.data()) + entry);
}

void Keeper::accept_agent() noexcept {
  UniqueFd socket(::accept4(station_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) return;
  // The mode of the socket file keeps others out; a descriptor that was passed around does not.
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != 0) {
    return;
  }
  adopt_connection(std::move(socket));
}

void Keeper::adopt_connection(UniqueFd socket) noexcept {
  drop_connection();
  connection_ = std::move(socket);
  reading_ = true;
  watch(connection_.get(), POLLIN, {TokenKind::connection_in, 0, connection_serial_, 0});
}

void Keeper::drop_connection() noexcept {
  if (!connection_.valid()) return;
  // Wakes the polls that the kernel holds on it, so that the descriptor really goes away.
  ::shutdown(connection_.get(), SHUT_RDWR);
  connection_.reset();
  ++connection_serial_;
  stalled_out_ = reading_ = greeted_ = false;
  stalled_.reset();
  listing_ = {};
  reexec_request_ = 0;
  reexec_binary_.reset();
  drop_early_fds();
  // Whoever was to be told is gone. What is worth knowing is in the table.
  while (first_say_ != kNoEntry) {
    const std::uint32_t entry = first_say_;
    Life& state = life(entry);
    first_say_ = state.next;
    const bool gone = (state.say & (kSayForgotten | kSayLaunchFailed)) != 0;
    state.say = state.queued = 0;
    if (gone) station_.table.free(entry);
  }
  last_say_ = kNoEntry;
  for (std::uint32_t i = 0; i < station_.table.size(); ++i) {
    life(i).launch_request = life(i).reopen_request = life(i).forget_request = 0;
  }
}

void Keeper::read_connection() noexcept {
  for (int i = 0; i < kMessagesPerTurn && connection_.valid(); ++i) {
    // One answer at a time: a peer that does not read gets no more of its requests read.
    if (stalled_out_ || stalled_ || listing_.active || reexec_binary_.valid() || done_) break;
    Result<bool> received = incoming_.receive(connection_.get());
    if (!received.ok() && received.error().sys_errno == EAGAIN) break;
    const bool readable = received.ok() ? *received : received.error().sys_errno == EPROTO;
    if (!readable) {
      drop_connection();
      return;
    }
    if (!received.ok()) {
      refuse(incoming_.header().request, incoming_.header().type, EPROTO, "hello",
             "another version of the protocol");
      drop_connection();
      return;
    }
    handle(incoming_);
    incoming_.close_fds();
  }
  flush();
}

bool Keeper::tell(const Header& header, std::span<const std::byte> body,
                  std::span<const int> fds) noexcept {
  if (!connection_.valid()) return true;
  if (stalled_out_) return false;
  Status sent = send(connection_.get(), header, body, fds);
  if (sent.ok()) return true;
  if (sent.error().sys_errno != EAGAIN) {
    // Its end is at hand: the poll for requests will report it.
    return true;
  }
  stalled_out_ = true;
  watch(connection_.get(), POLLOUT, {TokenKind::connection_out, 0, connection_serial_, 0});
  return false;
}

void Keeper::answer(std::uint64_t request, MessageType type) noexcept {
  const Header header{.type = type, .request = request};
  if (!tell(header, {}, {})) stalled_ = Stalled{header, {}, false};
}

void Keeper::refuse(std::uint64_t request, MessageType type, int sys_errno, const char* step,
                    std::string_view text) noexcept {
  const Header header{.type = type, .request = request, .sys_errno = sys_errno};
  Refusal body;
  std::strncpy(body.step, step, sizeof body.step - 1);
  std::memcpy(body.text, text.data(), std::min(text.size(), sizeof body.text - 1));
  if (!tell(header, std::as_bytes(std::span(&body, 1)), {})) stalled_ = Stalled{header, body, true};
}

void Keeper::say(std::uint32_t entry, std::uint8_t what) noexcept {
  Life& state = life(entry);
  state.say |= what;
  if (state.queued != 0) return;
  state.queued = 1;
  state.next = kNoEntry;
  if (last_say_ == kNoEntry) {
    first_say_ = entry;
  } else {
    life(last_say_).next = entry;
  }
  last_say_ = entry;
}

void Keeper::flush() noexcept {
  if (stalled_out_) return;
  if (stalled_) {
    const Stalled waiting = *stalled_;
    const auto body = std::as_bytes(std::span(&waiting.body, 1));
    if (!tell(waiting.header, waiting.has_body ? body : body.first(0), {})) return;
    stalled_.reset();
  }
  if (!flush_listing()) return;
  while (first_say_ != kNoEntry) {
    const std::uint32_t entry = first_say_;
    if (!speak(entry)) return;
    Life& state = life(entry);
    first_say_ = state.next;
    if (first_say_ == kNoEntry) last_say_ = kNoEntry;
    state.queued = 0;
  }
  if (connection_.valid() && !reading_ && !reexec_binary_.valid()) {
    reading_ = true;
    watch(connection_.get(), POLLIN, {TokenKind::connection_in, 0, connection_serial_, 0});
  }
}

// One after the other, in the order in which they happen in a process's life.
bool Keeper::speak(std::uint32_t index) noexcept {
  Life& state = life(index);
  Entry& entry = station_.table.at(index);
  const auto done = [&state](std::uint8_t what) { state.say &= static_cast<std::uint8_t>(~what); };
  if ((state.say & kSayLaunched) != 0) {
    LaunchAnswer body;
    int fds[2];
    int count = 0;
    body.record = record_of(entry);
    body.record.fds = kFdPidfd;
    fds[count++] = entry.pidfd;
    if ((entry.flags & kTerminal) != 0 && entry.stream[kStdout] >= 0) {
      body.record.fds |= kFdOut;
      fds[count++] = entry.stream[kStdout];
    }
    std::memcpy(body.stage_ns, state.stage_ns, sizeof body.stage_ns);
    if (!tell(MessageType::launch, state.launch_request, body,
              std::span(fds, static_cast<size_t>(count)))) {
      return false;
    }
    state.launch_request = 0;
    done(kSayLaunched);
    if (entry.state == EntryState::exited) UniqueFd pidfd(std::exchange(entry.pidfd, -1));
  }
  if ((state.say & kSayReopened) != 0) {
    if (!tell(Header{.type = MessageType::reopen_log, .request = state.reopen_request}, {}, {})) {
      return false;
    }
    state.reopen_request = 0;
    done(kSayReopened);
  }
  if ((state.say & kSayReapPlease) != 0) {
    if (!tell(MessageType::reap_please, 0, exit_record_of(entry))) return false;
    done(kSayReapPlease);
  }
  if ((state.say & kSayExit) != 0) {
    if (!tell(MessageType::exited, 0, exit_record_of(entry))) return false;
    done(kSayExit);
  }
  if ((state.say & kSayLaunchFailed) != 0) {
    const Header header{.type = MessageType::launch,
                        .request = state.launch_request,
                        .sys_errno = state.launch_errno};
    if (!tell(header, {}, {})) return false;
    done(kSayLaunchFailed);
    station_.table.free(index);
  }
  if ((state.say & kSayForgotten) != 0) {
    if (!tell(Header{.type = MessageType::forget, .request = state.forget_request}, {}, {})) {
      return false;
    }
    done(kSayForgotten);
    station_.table.free(index);
  }
  return true;
}

// List and held: the entries, then an empty message.
bool Keeper::flush_listing() noexcept {
  while (listing_.active) {
    Table& table = station_.table;
    while (listing_.next < table.size() &&
           (listing_.held ? table.at(listing_.next).state != EntryState::held
                          : !listable(table.at(listing_.next)))) {
      ++listing_.next;
    }
    const MessageType type = listing_.held ? MessageType::held : MessageType::list;
    if (listing_.next == table.size()) {
      if (!tell(Header{.type = type, .request = listing_.request}, {}, {})) return false;
      listing_ = {};
      return true;
    }
    const Entry& entry = table.at(listing_.next);
    bool told = false;
    if (listing_.held) {
      const NameBody body{entry.name};
      told = tell(type, listing_.request, body, std::span(entry.held, entry.held_count));
    } else {
      int fds[kFdBits];
      ProcessRecord body = record_of(entry);
      const int count = collect_fds(entry, &body.fds, fds);
      told = tell(type, listing_.request, body, std::span(fds, static_cast<size_t>(count)));
    }
    if (!told) return false;
    ++listing_.next;
  }
  return true;
}

}  // namespace berth::keeper
