// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "core/container/report.h"
#include "core/linux/pidfd.h"
#include "core/ring/with_deadline.h"

namespace berth::keeper {
namespace {

// Error::op is a literal; the keeper's step comes as text.
const char* literal_step(const char* step) {
  for (int i = 1; i <= static_cast<int>(container::Step::exec); ++i) {
    const char* name = container::step_name(static_cast<container::Step>(i));
    if (::strcmp(name, step) == 0) return name;
  }
  for (const char* name :
       {"launch", "hello", "handover", "request", "forget", "reopen_log", "hold", "adopt",
        "shutdown", "execveat", "find process", "fallocate", "start berth-keeper"}) {
    if (::strcmp(name, step) == 0) return name;
  }
  return "berth-keeper";
}

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
  return sys_error(header.sys_errno, literal_step(refusal.step), refusal.text);
}

Error keeper_died() {
  return Error{Errc::unavailable, 0, "berth-keeper", "died before it answered", {}};
}

Task<void> wait_for(Event& event) {
  co_await event.wait();
}

}  // namespace

// Takes a request off the books however its wait ends.
class KeeperClient::PendingGuard {
 public:
  PendingGuard(KeeperClient& client, std::uint64_t request, Pending& pending)
      : client_(client), request_(request), pending_(pending) {
    client_.pending_.emplace(request, &pending);
  }
  ~PendingGuard() {
    client_.pending_.erase(request_);
    if (pending_.done.is_set() || pending_.launch_id.empty()) return;
    if (pending_.sent) {
      client_.abandon_launch(request_, pending_.launch_id);
    } else {
      client_.processes_.erase(pending_.launch_id);
    }
  }

 private:
  KeeperClient& client_;
  std::uint64_t request_;
  Pending& pending_;
};

Task<void> KeeperClient::wait_connected(Deadline deadline) {
  if (closing_) co_await fail(Errc::unavailable, "the keeper's client is closed");
  while (!connected_.is_set()) co_await with_deadline(ring_, deadline, wait_for(connected_));
}

Task<void> KeeperClient::send_one(const Header& header, std::span<const std::byte> body,
                                  std::span<const int> fds, Deadline deadline) {
  for (;;) {
    Status sent = send(socket_.get(), header, body, fds);
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
Task<void> KeeperClient::send_whole(const Header& header, const Request& request,
                                    Deadline deadline) {
  constexpr auto kFdsMax = static_cast<std::size_t>(kMessageFdsMax);
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

Task<KeeperClient::Answer> KeeperClient::exchange(Request request, Deadline deadline,
                                                  std::vector<Answer>* parts) {
  Pending pending;
  pending.launch_id = request.launch_id;
  const std::uint64_t number = ++last_request_;
  PendingGuard guard(*this, number, pending);
  const Header header{.type = request.type, .request = number};
  co_await send_whole(header, request, deadline);
  pending.sent = true;
  co_await with_deadline(ring_, deadline, wait_for(pending.done));
  if (!pending.answer) co_await fail(keeper_died());
  Answer answer = std::move(*pending.answer);
  if (parts != nullptr) *parts = std::move(pending.parts);
  if (answer.header.sys_errno != 0) co_await fail(refusal_error(answer.header, answer.body));
  co_return answer;
}

Task<KeeperClient::Answer> KeeperClient::request(Request request, Deadline deadline) {
  co_await wait_connected(deadline);
  Answer answer = co_await exchange(std::move(request), deadline, nullptr);
  co_return answer;
}

Task<void> KeeperClient::insist(MessageType type, std::string name, std::vector<int> fds,
                                Deadline deadline) {
  NameBody body;
  if (!body.name.assign(name)) {
    co_await fail(Errc::invalid_argument, "an id of 1 to 128 bytes is needed");
  }
  for (;;) {
    Request again(type, body);
    again.fds = fds;
    Result<Answer> answer = co_await request(std::move(again), deadline).result();
    if (answer.ok()) co_return;
    if (!answer.error().is(Errc::unavailable) || closing_ || deadline.passed()) {
      co_await fail(std::move(answer).error());
    }
    co_await yield();
  }
}

// One for each connection; ends with it.
Task<void> KeeperClient::read_all() {
  auto incoming = std::make_unique<Incoming>();
  bool open = true;
  while (open) {
    Result<int> readable = co_await ring_.poll(socket_.get(), POLLIN).result();
    if (!readable.ok()) break;
    for (;;) {
      Result<bool> received = incoming->receive(socket_.get());
      if (!received.ok() && received.error().sys_errno == EAGAIN) break;
      // KERNEL: a peer that closes with messages unread leaves ECONNRESET, once, before what it
      // had sent itself: the refusal of a keeper that could not start.
      if (!received.ok() && received.error().sys_errno == ECONNRESET) continue;
      if (!received.ok() || !*received) {
        open = false;
        break;
      }
      dispatch(*incoming);
      incoming->close_fds();
    }
  }
  connected_.reset();
  fail_pending();
  reader_done_.set();
}

void KeeperClient::dispatch(Incoming& message) {
  const Header& header = message.header();
  if (header.type == MessageType::exited) {
    if (const auto* record = message.body<ExitRecord>()) note_exit(*record);
    return;
  }
  if (header.type == MessageType::reap_please) {
    if (const auto* record = message.body<ExitRecord>()) {
      scope_->spawn(answer_reap(std::string(record->id.view())));
    }
    return;
  }
  if (header.request == 0 && header.sys_errno != 0) {
    const auto* refusal = message.body<Refusal>();
    start_error_ = make_error(Errc::unavailable, refusal != nullptr ? text_of(*refusal) : "");
    return;
  }
  if (const auto* body = message.body<LaunchAnswer>();
      header.type == MessageType::launch && header.request == 0 && body != nullptr) {
    // An earlier agent asked for it and was gone before it was done.
    const std::string id(body->record.id.view());
    processes_[id].abandoned = true;
    take_launch_answer(id, header, message);
    return;
  }
  const auto found = pending_.find(header.request);
  if (found == pending_.end()) {
    const auto late = abandoned_.find(header.request);
    if (late == abandoned_.end()) return;
    take_launch_answer(late->second, header, message);
    abandoned_.erase(late);
    return;
  }
  Pending& pending = *found->second;
  if (header.type == MessageType::launch) take_launch_answer(pending.launch_id, header, message);
  Answer answer{header, {message.bytes().begin(), message.bytes().end()}, {}};
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

// Before anything else can be heard of the process: its exit may be the next message.
void KeeperClient::take_launch_answer(const std::string& id, const Header& header,
                                      Incoming& message) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  const auto* body = message.body<LaunchAnswer>();
  if (header.sys_errno != 0 || body == nullptr) {
    close_log(std::move(found->second.log));
    processes_.erase(found);
    return;
  }
  Holding& holding = found->second;
  const std::uint8_t flags = holding.record.flags;
  holding.record = body->record;
  holding.record.flags |= flags;
  // It may have ended before the keeper answered; the exit that is told next is what counts, and
  // note_exit passes over one that is known.
  holding.record.state = ProcessState::running;
  holding.pidfd = message.take_fd(0);
  if ((body->record.fds & kFdOut) != 0) holding.out = message.take_fd(1);
  if (holding.abandoned) static_cast<void>(sys::pidfd_send_signal(holding.pidfd.get(), SIGKILL));
}

void KeeperClient::abandon_launch(std::uint64_t request, const std::string& id) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  found->second.abandoned = true;
  abandoned_.emplace(request, id);
}

void KeeperClient::note_exit(const ExitRecord& record) {
  const auto found = processes_.find(std::string(record.id.view()));
  if (found == processes_.end() || found->second.record.state == ProcessState::exited) return;
  Holding& holding = found->second;
  holding.record.state = ProcessState::exited;
  holding.record.exit_code = record.exit_code;
  holding.record.exit_known = record.exit_known;
  holding.record.finished_at_ns = record.finished_at_ns;
  holding.in.reset();
  if (holding.abandoned) {
    scope_->spawn(forget_abandoned(found->first));
    return;
  }
  exits_.push_back(
      {.id = found->first,
       .kind = record.kind,
       .exit_code = record.exit_known != 0 ? std::optional<int>(record.exit_code) : std::nullopt,
       .finished_at_ns = record.finished_at_ns});
  exits_ready_.set();
}

namespace {

Task<void> close_now(Ring& ring, UniqueFd fd) {
  co_await ring.close(std::move(fd));
}

}  // namespace

// KERNEL: close(2) of a file of NFS or FUSE waits for its server, whoever else has it open.
void KeeperClient::close_log(UniqueFd log) {
  if (log.valid()) scope_->spawn(close_now(ring_, std::move(log)));
}

void KeeperClient::drop_process(const std::string& id) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  close_log(std::move(found->second.log));
  close_log(std::move(found->second.log_next));
  processes_.erase(found);
}

Task<void> KeeperClient::forget_abandoned(std::string id) {
  co_await insist(MessageType::forget, id, {}, Deadline::never());
  drop_process(id);
}

// Our child since the keeper that made it died: its exit code is ours to fetch.
Task<void> KeeperClient::answer_reap(std::string id) {
  const auto found = processes_.find(id);
  if (found == processes_.end() || !found->second.pidfd.valid()) co_return;
  Result<std::optional<sys::ExitStatus>> status = sys::waitid_nohang(found->second.pidfd.get());
  // Not our child: whoever reaps it, the pidfd may tell the keeper afterwards.
  if (!status.ok() || !status->has_value()) co_return;
  ExitRecord record;
  record.id.assign(id);
  record.exit_code = (*status)->exit_code;
  record.exit_known = 1;
  for (;;) {
    Request again(MessageType::record_exit, record);
    Result<Answer> told = co_await request(std::move(again), Deadline::never()).result();
    if (told.ok() || !told.error().is(Errc::unavailable) || closing_) co_return;
    co_await yield();
  }
}

// A launch without an answer may have happened: the next keeper's list tells, and it is undone
// then.
void KeeperClient::fail_pending() {
  abandoned_.clear();
  for (auto& [number, pending] : pending_) {
    if (pending->done.is_set()) continue;
    const auto found = processes_.find(pending->launch_id);
    if (!pending->launch_id.empty() && found != processes_.end()) found->second.abandoned = true;
    pending->done.set();
  }
}

}  // namespace berth::keeper
