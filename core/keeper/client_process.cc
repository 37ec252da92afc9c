// SPDX-License-Identifier: Apache-2.0
// KeeperClient: what the agent asks of a keeper.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <utility>

#include "core/keeper/client.h"
#include "core/keeper/program.h"
#include "core/linux/pidfd.h"
#include "core/ring/with_deadline.h"

namespace berth::keeper {
namespace {

Task<int> wait_readable(Ring& ring, int fd) {
  int events = co_await ring.poll(fd, POLLIN);
  co_return events;
}

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys_error(errno, "fcntl", "F_DUPFD_CLOEXEC");
  return copy;
}

std::optional<ProcessExit> exit_of(const std::string& id, const ProcessRecord& record) {
  if (record.state != ProcessState::exited) return std::nullopt;
  return ProcessExit{
      .id = id,
      .kind = record.kind,
      .exit_code = record.exit_known != 0 ? std::optional<int>(record.exit_code) : std::nullopt,
      .finished_at_ns = record.finished_at_ns};
}

}  // namespace

Task<Started> KeeperClient::launch(LaunchOrder order, Deadline deadline) {
  co_await wait_connected(deadline);
  ProcessRecord record;
  if (!record.id.assign(order.id)) {
    co_await fail(Errc::invalid_argument, "an id of 1 to 128 bytes is needed");
  }
  if (processes_.contains(order.id)) {
    co_await fail(Errc::already_exists, "the keeper already has a process " + order.id);
  }
  record.kind = order.kind;
  record.flags = order.stdio.flags;
  std::vector<int> fds;
  const std::pair<FdBit, const UniqueFd*> all[] = {{kFdPlan, &order.plan},
                                                   {kFdLog, &order.stdio.log},
                                                   {kFdOut, &order.stdio.out},
                                                   {kFdErr, &order.stdio.err},
                                                   {kFdStdin, &order.stdio.in},
                                                   {kFdChildIn, &order.stdio.child_in},
                                                   {kFdChildOut, &order.stdio.child_out},
                                                   {kFdChildErr, &order.stdio.child_err}};
  for (const auto& [bit, fd] : all) {
    if (!fd->valid()) continue;
    record.fds |= bit;
    fds.push_back(fd->get());
  }
  const std::size_t own_fds = fds.size();
  fds.insert(fds.end(), order.plan_fds.begin(), order.plan_fds.end());
  Request request(MessageType::launch, record);
  request.own_fds = own_fds;
  request.fds = std::move(fds);
  request.launch_id = order.id;
  // Our ends are kept from the beginning; the answer fills in the rest (take_launch_answer).
  Holding& holding = processes_[order.id];
  holding.record = record;
  holding.log = std::move(order.stdio.log);
  holding.out = std::move(order.stdio.out);
  holding.err = std::move(order.stdio.err);
  holding.in = std::move(order.stdio.in);
  Answer answer = co_await exchange(std::move(request), deadline, nullptr);
  LaunchAnswer body;
  if (answer.body.size() != sizeof body) co_await fail(Errc::internal, "keeper: odd answer");
  std::memcpy(&body, answer.body.data(), sizeof body);
  Started started{.pid = body.record.pid, .pidfd = {}, .started_at_ns = body.record.started_at_ns};
  std::memcpy(started.stage_ns, body.stage_ns, sizeof started.stage_ns);
  // It may have ended and its pidfd be closed by now; the number is then still right to report.
  const auto found = processes_.find(order.id);
  if (found != processes_.end() && found->second.pidfd.valid()) {
    UniqueFd pidfd = co_await duplicate(found->second.pidfd);
    started.pidfd = std::move(pidfd);
  }
  co_return started;
}

Task<void> KeeperClient::reopen_log(std::string id, UniqueFd log, Deadline deadline) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) co_await fail(Errc::not_found, "no process " + id);
  if (found->second.reopening) {
    co_await fail(Errc::unavailable, "the log of " + id + " is being reopened");
  }
  struct Reopening {
    KeeperClient& client;
    const std::string& id;
    UniqueFd mine;  // the other one may go when a new keeper is told of everything
    ~Reopening() {
      client.close_log(std::move(mine));
      const auto process = client.processes_.find(id);
      if (process != client.processes_.end()) process->second.reopening = false;
    }
  };
  Reopening reopening{*this, id, UniqueFd()};
  reopening.mine = co_await duplicate(log);
  found->second.reopening = true;
  std::vector<int> fds(1, reopening.mine.get());
  // Both files are kept until the answer: if the keeper dies meanwhile, only its table knows which
  // of them got the last write.
  close_log(std::exchange(found->second.log_next, std::move(log)));
  co_await insist(MessageType::reopen_log, id, std::move(fds), deadline);
  const auto after = processes_.find(id);
  if (after != processes_.end() && after->second.log_next.valid()) {
    close_log(std::exchange(after->second.log, std::move(after->second.log_next)));
  }
}

Task<void> KeeperClient::close_stdin(std::string id, Deadline deadline) {
  const auto found = processes_.find(id);
  if (found != processes_.end()) found->second.in.reset();
  co_await insist(MessageType::close_stdin, std::move(id), {}, deadline);
}

Task<void> KeeperClient::forget(std::string id, Deadline deadline) {
  co_await insist(MessageType::forget, id, {}, deadline);
  drop_process(id);
  std::erase_if(exits_, [&id](const ProcessExit& exit) { return exit.id == id; });
}

Task<void> KeeperClient::hold(std::string key, std::vector<UniqueFd> fds, Deadline deadline) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  co_await insist(MessageType::hold, key, std::move(numbers), deadline);
  held_[key] = std::move(fds);
}

Task<void> KeeperClient::drop(std::string key, Deadline deadline) {
  held_.erase(key);
  co_await insist(MessageType::drop, std::move(key), {}, deadline);
}

Result<std::vector<UniqueFd>> KeeperClient::held(const std::string& key) const {
  std::vector<UniqueFd> copies;
  const auto found = held_.find(key);
  if (found == held_.end()) return copies;
  for (const UniqueFd& fd : found->second) {
    TRY(UniqueFd copy, duplicate(fd));
    copies.push_back(std::move(copy));
  }
  return copies;
}

std::vector<std::string> KeeperClient::held_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, fds] : held_) keys.push_back(key);
  return keys;
}

std::optional<KnownProcess> KeeperClient::find(const std::string& id) const {
  const auto found = processes_.find(id);
  if (found == processes_.end() || found->second.record.state == ProcessState::launching ||
      found->second.abandoned) {
    return std::nullopt;
  }
  const Holding& holding = found->second;
  const bool terminal = (holding.record.flags & kTerminal) != 0;
  return KnownProcess{
      .id = id,
      .kind = holding.record.kind,
      .pid = holding.record.pid,
      .pidfd = holding.record.state == ProcessState::exited ? -1 : holding.pidfd.get(),
      .stdin_fd = terminal ? holding.out.get() : holding.in.get(),
      .flags = holding.record.flags,
      .has_log = holding.log.valid(),
      .started_at_ns = holding.record.started_at_ns,
      .exit = exit_of(id, holding.record)};
}

std::vector<KnownProcess> KeeperClient::list() const {
  std::vector<KnownProcess> all;
  for (const auto& [id, holding] : processes_) {
    std::optional<KnownProcess> known = find(id);
    if (known) all.push_back(std::move(*known));
  }
  return all;
}

Task<ProcessExit> KeeperClient::next_exit() {
  while (exits_.empty()) {
    if (closing_) co_await fail(Errc::cancelled, "the keeper's client is closed");
    exits_ready_.reset();
    co_await exits_ready_.wait();
  }
  ProcessExit exit = std::move(exits_.front());
  exits_.pop_front();
  co_return exit;
}

Task<void> KeeperClient::reexec(std::string path, Deadline deadline) {
  UniqueFd binary = co_await open_program(path);
  Request message(MessageType::reexec);
  message.fds.push_back(binary.get());
  Answer answer = co_await request(std::move(message), deadline);
}

Task<void> KeeperClient::shutdown(Deadline deadline) {
  co_await wait_connected(deadline);
  Request request(MessageType::shutdown);
  Answer answer = co_await exchange(std::move(request), deadline, nullptr);
  closing_ = true;
  int ended = co_await with_deadline(ring_, deadline, wait_readable(ring_, keeper_pidfd_.get()));
  static_cast<void>(ended);
  static_cast<void>(sys::waitid_nohang(keeper_pidfd_.get()));
}

Task<void> KeeperClient::close() {
  closing_ = true;
  connected_.reset();
  exits_ready_.set();
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
  scope_->cancel();
  co_await scope_->close();
  fail_pending();
  socket_.reset();
}

}  // namespace berth::keeper
