// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_processes.h"

#include <signal.h>

#include <algorithm>

#include "core/linux/pidfd.h"

namespace berth::native {
namespace {

using keeper::ExitRecord;
using keeper::FdBit;
using keeper::MessageType;
using keeper::ProcessRecord;
using keeper::ProcessState;

plugins::Exit exit_of(const std::string& id, const ProcessRecord& record) {
  plugins::Exit exit;
  exit.id = id;
  if (record.kind == ProcessKind::exec) exit.of = plugins::Exit::Of::exec;
  if (record.kind == ProcessKind::pod_init) exit.of = plugins::Exit::Of::sandbox;
  if (record.exit_known != 0) exit.exit_code = record.exit_code;
  exit.finished_at_ns = record.finished_at_ns;
  return exit;
}

Task<void> close_now(Ring& ring, UniqueFd fd) {
  co_await ring.close(std::move(fd));
}

}  // namespace

// In the order of the bits, as a message carries them.
const KeeperProcesses::Slot KeeperProcesses::kSlots[6] = {
    {keeper::kFdPidfd, &Process::pidfd},      {keeper::kFdLog, &Process::log},
    {keeper::kFdLogNext, &Process::log_next}, {keeper::kFdOut, &Process::out},
    {keeper::kFdErr, &Process::err},          {keeper::kFdStdin, &Process::in}};

// KERNEL: close(2) of a file of NFS or FUSE waits for its server, although others have it open.
// Proof: tests/core/keeper/fuse_log_test.cc.
void KeeperProcesses::close_log(UniqueFd log) {
  if (log.valid()) scope_.spawn(close_now(ring_, std::move(log)));
}

void KeeperProcesses::kill(const Process& process) {
  static_cast<void>(sys::pidfd_send_signal(process.pidfd.get(), SIGKILL));
}

Result<KeeperRequest> KeeperProcesses::begin_launch(KeeperLaunch& launch) {
  ProcessRecord record;
  if (!record.id.assign(launch.id)) {
    return make_error(Errc::invalid_argument, "an id of 1 to 128 bytes is needed");
  }
  if (processes_.contains(launch.id)) {
    return make_error(Errc::already_exists, "the keeper already has a process " + launch.id);
  }
  record.kind = launch.kind;
  record.flags = launch.streams.flags;
  std::vector<int> fds;
  StreamEnds& streams = launch.streams;
  const std::pair<FdBit, const UniqueFd*> all[] = {{keeper::kFdPlan, &launch.plan.memfd},
                                                   {keeper::kFdLog, &streams.log},
                                                   {keeper::kFdOut, &streams.out},
                                                   {keeper::kFdErr, &streams.err},
                                                   {keeper::kFdStdin, &streams.in},
                                                   {keeper::kFdChildIn, &streams.child_in},
                                                   {keeper::kFdChildOut, &streams.child_out},
                                                   {keeper::kFdChildErr, &streams.child_err}};
  for (const auto& [bit, fd] : all) {
    if (!fd->valid()) continue;
    record.fds |= bit;
    fds.push_back(fd->get());
  }
  KeeperRequest request(MessageType::launch, record);
  request.own_fds = fds.size();
  fds.insert(fds.end(), launch.plan.fds.begin(), launch.plan.fds.end());
  request.fds = std::move(fds);
  request.launch_id = launch.id;
  Process& process = processes_[launch.id];
  process.record = record;
  process.log = std::move(streams.log);
  process.out = std::move(streams.out);
  process.err = std::move(streams.err);
  process.in = std::move(streams.in);
  return request;
}

void KeeperProcesses::launched(const std::string& id, const keeper::Header& header,
                               keeper::Incoming& message) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  const auto* body = message.body<keeper::LaunchAnswer>();
  if (header.sys_errno != 0 || body == nullptr) {
    close_log(std::move(found->second.log));
    processes_.erase(found);
    return;
  }
  Process& process = found->second;
  const std::uint8_t flags = process.record.flags;
  process.record = body->record;
  process.record.flags |= flags;
  // It may have ended before the keeper answered; the exit that comes next is what counts, and
  // exited() passes over one that is known.
  process.record.state = ProcessState::running;
  process.pidfd = message.take_fd(0);
  if ((body->record.fds & keeper::kFdOut) != 0) process.out = message.take_fd(1);
  if (process.abandoned) kill(process);
}

void KeeperProcesses::abandon(const std::string& id, bool sent) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  if (sent) {
    found->second.abandoned = true;
  } else {
    drop(id);
  }
}

void KeeperProcesses::add_abandoned(const std::string& id) {
  processes_[id].abandoned = true;
}

bool KeeperProcesses::exited(const ExitRecord& record) {
  const auto found = processes_.find(std::string(record.id.view()));
  if (found == processes_.end()) return false;
  Process& process = found->second;
  if (process.record.state == ProcessState::exited) return false;
  process.record.state = ProcessState::exited;
  process.record.exit_code = record.exit_code;
  process.record.exit_known = record.exit_known;
  process.record.finished_at_ns = record.finished_at_ns;
  process.in.reset();
  const auto waited_for = waited_for_.find(found->first);
  if (waited_for != waited_for_.end()) waited_for->second->set();
  if (process.abandoned) return true;
  exits_.push_back(exit_of(found->first, process.record));
  exits_ready_.set();
  return false;
}

void KeeperProcesses::forget(const std::string& id) {
  drop(id);
  std::erase_if(exits_, [&id](const plugins::Exit& exit) { return exit.id == id; });
}

void KeeperProcesses::drop(const std::string& id) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  close_log(std::move(found->second.log));
  close_log(std::move(found->second.log_next));
  processes_.erase(found);
  const auto waited_for = waited_for_.find(id);
  if (waited_for != waited_for_.end()) waited_for->second->set();
}

Result<UniqueFd> KeeperProcesses::begin_reopen(const std::string& id, UniqueFd log) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return make_error(Errc::not_found, "no process " + id);
  if (found->second.reopening) {
    return make_error(Errc::unavailable, "the log of " + id + " is being reopened");
  }
  TRY(UniqueFd duplicate, log.duplicate());
  found->second.reopening = true;
  close_log(std::exchange(found->second.log_next, std::move(log)));
  return duplicate;
}

void KeeperProcesses::end_reopen(const std::string& id, UniqueFd duplicate, bool done) {
  close_log(std::move(duplicate));
  const auto found = processes_.find(id);
  if (found == processes_.end()) return;
  Process& process = found->second;
  process.reopening = false;
  if (!done || !process.log_next.valid()) return;
  close_log(std::exchange(process.log, std::move(process.log_next)));
}

void KeeperProcesses::close_stdin(const std::string& id) {
  const auto found = processes_.find(id);
  if (found != processes_.end()) found->second.in.reset();
}

std::optional<KnownProcess> KeeperProcesses::find(const std::string& id) const {
  const auto found = processes_.find(id);
  if (found == processes_.end() || found->second.record.state == ProcessState::launching ||
      found->second.abandoned) {
    return std::nullopt;
  }
  const Process& process = found->second;
  const ProcessRecord& record = process.record;
  const bool terminal = (record.flags & keeper::kTerminal) != 0;
  const bool ended = record.state == ProcessState::exited;
  KnownProcess known;
  known.id = id;
  known.kind = record.kind;
  known.pid = record.pid;
  known.pidfd = ended ? -1 : process.pidfd.get();
  known.stdin_fd = terminal ? process.out.get() : process.in.get();
  known.log_lost = (record.flags & keeper::kLogged) != 0 && !process.log.valid();
  known.started_at_ns = record.started_at_ns;
  if (ended) known.exit = exit_of(id, record);
  return known;
}

std::vector<KnownProcess> KeeperProcesses::list() const {
  std::vector<KnownProcess> all;
  for (const auto& [id, process] : processes_) {
    std::optional<KnownProcess> known = find(id);
    if (known) all.push_back(std::move(*known));
  }
  return all;
}

bool KeeperProcesses::empty() const {
  return processes_.empty();
}

Task<plugins::Exit> KeeperProcesses::next_exit() {
  while (exits_.empty()) {
    if (closed_) co_await fail(Errc::cancelled, "the keeper's client is closed");
    exits_ready_.reset();
    co_await exits_ready_.wait();
  }
  plugins::Exit exit = std::move(exits_.front());
  exits_.pop_front();
  co_return exit;
}

Task<void> KeeperProcesses::wait_exit(std::string id) {
  const std::optional<KnownProcess> known = find(id);
  if (!known || known->exit) co_return;
  std::shared_ptr<Event>& event = waited_for_[id];
  if (event == nullptr) event = std::make_shared<Event>();
  const std::shared_ptr<Event> ended = event;
  Result<void> waited = co_await ended->wait().result();
  // The last of several waiters removes the entry: it and this frame have the two references.
  if (ended.use_count() == 2) waited_for_.erase(id);
  co_await std::move(waited);
}

void KeeperProcesses::close() {
  closed_ = true;
  exits_ready_.set();
}

std::vector<std::string> KeeperProcesses::ids_to_adopt() const {
  std::vector<std::string> ids;
  for (const auto& [id, process] : processes_) {
    if (process.record.state != ProcessState::launching) ids.push_back(id);
  }
  return ids;
}

std::optional<KeeperRequest> KeeperProcesses::adoption_of(const std::string& id) const {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return std::nullopt;
  const Process& process = found->second;
  ProcessRecord record = process.record;
  record.fds = 0;
  std::vector<int> fds;
  for (const auto& [bit, member] : kSlots) {
    const UniqueFd& fd = process.*member;
    if (!fd.valid()) continue;
    record.fds |= bit;
    fds.push_back(fd.get());
  }
  KeeperRequest request(MessageType::adopt_process, record);
  request.fds = std::move(fds);
  return request;
}

// The keeper finished every reopen_log that was under way.
void KeeperProcesses::adopted_all() {
  for (auto& [id, process] : processes_) {
    if (!process.log_next.valid()) continue;
    close_log(std::exchange(process.log, std::move(process.log_next)));
  }
}

bool KeeperProcesses::learn(const ProcessRecord& record, std::vector<UniqueFd> fds) {
  Process& process = processes_[std::string(record.id.view())];
  const bool ended = record.state == ProcessState::exited;
  const bool known_ended = process.record.state == ProcessState::exited;
  process.record = record;
  close_log(std::move(process.log));
  std::size_t next = 0;
  for (const auto& [bit, member] : kSlots) {
    if (bit == keeper::kFdLogNext) continue;  // ours: a list has none
    UniqueFd& fd = process.*member;
    fd.reset();
    if ((record.fds & bit) != 0 && next < fds.size()) fd = std::move(fds[next++]);
  }
  if (!ended && process.abandoned) kill(process);
  if (!ended || known_ended) return false;
  process.record.state = ProcessState::running;  // exited() makes the step
  ExitRecord exit;
  exit.id = record.id;
  exit.kind = record.kind;
  exit.exit_code = record.exit_code;
  exit.exit_known = record.exit_known;
  exit.finished_at_ns = record.finished_at_ns;
  return exited(exit);
}

void KeeperProcesses::keep_only(const std::set<std::string>& ids) {
  std::vector<std::string> gone;
  for (const auto& [id, process] : processes_) {
    if (!ids.contains(id)) gone.push_back(id);
  }
  for (const std::string& id : gone) drop(id);
}

}  // namespace berth::native
