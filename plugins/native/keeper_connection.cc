// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

#include "core/ring/with_deadline.h"

namespace berth::native {
namespace {

using keeper::ExitRecord;
using keeper::Header;
using keeper::Incoming;
using keeper::LaunchAnswer;
using keeper::MessageType;
using keeper::Refusal;

// "start berth-keeper: another keeper (pid 7) serves /run/berth".
std::string text_of(const Refusal& refusal) {
  return std::string(refusal.step, ::strnlen(refusal.step, sizeof refusal.step)) + ": " +
         std::string(refusal.text, ::strnlen(refusal.text, sizeof refusal.text));
}

Error refusal_error(const Header& header, std::span<const std::byte> body) {
  if (body.size() != sizeof(Refusal)) return sys_error(header.sys_errno, "launch");
  Refusal refusal;
  ::memcpy(&refusal, body.data(), sizeof refusal);
  refusal.step[sizeof refusal.step - 1] = refusal.text[sizeof refusal.text - 1] = '\0';
  return sys_error(header.sys_errno, refusal.step, refusal.text);
}

Error keeper_died() {
  return Error{Errc::unavailable, 0, "berth-keeper", "died before it answered", {}};
}

}  // namespace

// Removes a request from the pending ones however its wait ends.
class KeeperConnection::PendingGuard {
 public:
  PendingGuard(KeeperConnection& connection, std::uint64_t request, Pending& pending)
      : connection_(connection), request_(request), pending_(pending) {
    connection_.pending_.emplace(request, &pending);
  }
  ~PendingGuard() {
    connection_.pending_.erase(request_);
    if (pending_.done.is_set() || pending_.launch_id.empty()) return;
    if (pending_.sent) connection_.abandoned_.emplace(request_, pending_.launch_id);
    connection_.events_.launch_abandoned(pending_.launch_id, pending_.sent);
  }

 private:
  KeeperConnection& connection_;
  std::uint64_t request_;
  Pending& pending_;
};

void KeeperConnection::open(UniqueFd socket) {
  socket_ = std::move(socket);
  start_error_.reset();
  ended_.reset();
  scope_.spawn(read_all());
}

Task<void> KeeperConnection::disconnect() {
  if (!socket_.valid()) co_return;
  shut_down();
  while (!ended_.is_set()) co_await ended_.wait();
  socket_.reset();
}

void KeeperConnection::shut_down() {
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
}

void KeeperConnection::release() {
  fail_pending();
  socket_.reset();
}

Task<KeeperAnswer> KeeperConnection::exchange(KeeperRequest request, Deadline deadline) {
  Pending pending;
  pending.launch_id = request.launch_id;
  const std::uint64_t number = ++last_request_;
  PendingGuard guard(*this, number, pending);
  const Header header{.type = request.type, .request = number};
  co_await send_whole(header, request, deadline);
  pending.sent = true;
  co_await with_deadline(ring_, deadline, pending.done.wait());
  if (!pending.answer) co_await fail(keeper_died());
  KeeperAnswer answer = std::move(*pending.answer);
  answer.parts = std::move(pending.parts);
  if (answer.header.sys_errno != 0) co_await fail(refusal_error(answer.header, answer.body));
  co_return answer;
}

Task<void> KeeperConnection::send_one(const Header& header, std::span<const std::byte> body,
                                      std::span<const int> fds, Deadline deadline) {
  for (;;) {
    Status sent = keeper::send(socket_.get(), header, body, fds);
    if (sent.ok()) co_return;
    if (sent.error().sys_errno != EAGAIN) co_await fail(keeper_died());
    // The socket is full: the keeper reads on as soon as it can.
    co_await ring_.sleep_until(Deadline::earliest(deadline, Deadline::after_ms(1)));
    if (deadline.passed()) co_await fail(Errc::deadline_exceeded, "the keeper does not read");
  }
}

// Descriptors that do not fit into one message go ahead in others. The keeper drops those of a
// launch that does not follow: with the next launch, or the connection. So no other launch may come
// between.
Task<void> KeeperConnection::send_whole(const Header& header, const KeeperRequest& request,
                                        Deadline deadline) {
  constexpr auto kFdsMax = static_cast<std::size_t>(keeper::kMessageFdsMax);
  std::span<const int> fds = request.fds;
  if (request.type != MessageType::launch) {
    co_await send_one(header, request.body, fds, deadline);
    co_return;
  }
  const Mutex::Guard guard = co_await sending_.lock();
  if (fds.size() <= kFdsMax) {
    co_await send_one(header, request.body, fds, deadline);
    co_return;
  }
  const std::size_t own = request.own_fds;
  std::vector<int> last(fds.begin(), fds.begin() + static_cast<std::ptrdiff_t>(own));
  fds = fds.subspan(own);
  const Header ahead{.type = MessageType::launch_fds, .request = header.request};
  while (fds.size() + own > kFdsMax) {
    co_await send_one(ahead, {}, fds.first(kFdsMax), deadline);
    fds = fds.subspan(kFdsMax);
  }
  last.insert(last.end(), fds.begin(), fds.end());
  co_await send_one(header, request.body, last, deadline);
}

// One for each connection; ends with it.
Task<void> KeeperConnection::read_all() {
  auto incoming = std::make_unique<Incoming>();
  bool open = true;
  while (open) {
    Result<int> readable = co_await ring_.poll(socket_.get(), POLLIN).result();
    if (!readable.ok()) break;
    for (;;) {
      Result<bool> received = incoming->receive(socket_.get());
      if (!received.ok() && received.error().sys_errno == EAGAIN) break;
      // KERNEL 2.6: a peer that closes with messages unread leaves ECONNRESET, once, before what it
      // had sent itself: the refusal of a keeper that could not start.
      // Proof: tests/core/keeper/protocol_test.cc.
      if (!received.ok() && received.error().sys_errno == ECONNRESET) continue;
      if (!received.ok() || !*received) {
        open = false;
        break;
      }
      dispatch(*incoming);
      incoming->close_fds();
    }
  }
  events_.disconnected();
  fail_pending();
  ended_.set();
}

bool KeeperConnection::dispatch_event(Incoming& message) {
  const Header& header = message.header();
  if (header.type == MessageType::exited) {
    if (const auto* record = message.body<ExitRecord>()) events_.process_exited(*record);
    return true;
  }
  if (header.type == MessageType::reap_please) {
    if (const auto* record = message.body<ExitRecord>()) {
      events_.reap_please(std::string(record->id.view()));
    }
    return true;
  }
  if (header.request != 0) return false;
  if (header.sys_errno != 0) {
    const auto* refusal = message.body<Refusal>();
    start_error_ = make_error(Errc::unavailable, refusal != nullptr ? text_of(*refusal) : "");
    return true;
  }
  const auto* body = message.body<LaunchAnswer>();
  if (header.type != MessageType::launch || body == nullptr) return false;
  events_.foreign_launch_answered(std::string(body->record.id.view()), header, message);
  return true;
}

void KeeperConnection::dispatch_late(Incoming& message) {
  const auto late = abandoned_.find(message.header().request);
  if (late == abandoned_.end()) return;
  events_.launch_answered(late->second, message.header(), message);
  abandoned_.erase(late);
}

void KeeperConnection::dispatch(Incoming& message) {
  if (dispatch_event(message)) return;
  const Header& header = message.header();
  const auto found = pending_.find(header.request);
  if (found == pending_.end()) return dispatch_late(message);
  Pending& pending = *found->second;
  if (header.type == MessageType::launch) {
    events_.launch_answered(pending.launch_id, header, message);
  }
  KeeperAnswer answer{header, {message.bytes().begin(), message.bytes().end()}, {}, {}};
  for (int i = 0; i < message.fd_count(); ++i) {
    UniqueFd fd = message.take_fd(i);
    if (fd.valid()) answer.fds.push_back(std::move(fd));
  }
  const bool is_part = header.sys_errno == 0 && !answer.body.empty() &&
                       (header.type == MessageType::list || header.type == MessageType::held);
  if (is_part) {
    pending.parts.push_back(std::move(answer));
    return;
  }
  pending.answer.emplace(std::move(answer));
  pending.done.set();
}

// A launch without an answer may have happened: the next keeper's list tells.
void KeeperConnection::fail_pending() {
  abandoned_.clear();
  for (auto& [number, pending] : pending_) {
    if (pending->done.is_set()) continue;
    if (!pending->launch_id.empty()) events_.launch_abandoned(pending->launch_id, true);
    pending->done.set();
  }
}

}  // namespace berth::native
