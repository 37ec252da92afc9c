// SPDX-License-Identifier: Apache-2.0
// KeeperClient: finding or starting a keeper, and handing over to it what a dead one held.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "core/container/launch_plan.h"
#include "core/keeper/client.h"
#include "core/keeper/program.h"
#include "core/linux/pidfd.h"
#include "core/ring/with_deadline.h"

namespace berth::keeper {
namespace {

constexpr std::int64_t kReviveMs = 10'000;
constexpr std::int64_t kPauseMs = 50;
// Of the keeper that we start.
constexpr int kConnectionFd = 3;
constexpr int kProgramFd = 4;

Task<int> wait_readable(Ring& ring, int fd) {
  int events = co_await ring.poll(fd, POLLIN);
  co_return events;
}

// posix_spawn's own error numbers, not errno.
Result<pid_t> spawn_keeper(const ClientOptions& options, int connection, int program) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, connection, kConnectionFd);
  ::posix_spawn_file_actions_adddup2(&actions, program, kProgramFd);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string number = std::to_string(kConnectionFd);
  std::string state_dir = options.state_dir;
  char name[] = "berth-keeper";
  char state_option[] = "--state-dir";
  char connection_option[] = "--connection";
  char program_option[] = "--program";
  std::string program_number = std::to_string(kProgramFd);
  char* arguments[] = {name,          state_option,   state_dir.data(),      connection_option,
                       number.data(), program_option, program_number.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = -1;
  // By the descriptor, so that it runs from the mount and not from the path.
  const std::string path = "/proc/self/fd/" + std::to_string(program);
  const int failed =
      ::posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments, environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return sys_error(failed, "posix_spawn", options.keeper_binary);
  return pid;
}

}  // namespace

KeeperClient::KeeperClient(Ring& ring, Log& log, ClientOptions options)
    : ring_(ring), log_(log), options_(std::move(options)) {
  scope_ = std::make_unique<Scope>(ring.ready(),
                                   [&log](Error error) { log.warn("keeper", error.message()); });
}

KeeperClient::~KeeperClient() = default;

Task<std::unique_ptr<KeeperClient>> KeeperClient::connect_or_start(Ring& ring, Log& log,
                                                                   ClientOptions options,
                                                                   Deadline deadline) {
  // When a keeper dies its children become ours, and with them their exit codes.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  std::unique_ptr<KeeperClient> client(new KeeperClient(ring, log, std::move(options)));
  for (int attempt = 0;; ++attempt) {
    Result<void> outcome = co_await client->establish(deadline).result();
    if (outcome.ok()) break;
    // A keeper that is just dying still has its lock.
    if (attempt == 3 || deadline.passed()) {
      Result<void> closed = co_await client->close().result();
      static_cast<void>(closed);
      co_await fail(std::move(outcome).error());
    }
    co_await ring.sleep_until(Deadline::after_ms(kPauseMs));
  }
  client->scope_->spawn(client->supervise());
  if (client->outdated_) {
    log.info("keeper", "pid " + std::to_string(client->keeper_pid_) +
                           " is of another version and gets this one's program");
    // One that cannot hand over to it by itself ends, and supervise() starts another.
    Result<void> replaced =
        co_await client->reexec(client->options_.keeper_binary, deadline).result();
    if (!replaced.ok()) log.warn("keeper", replaced.error().message());
    co_await client->wait_connected(deadline);
  }
  co_return client;
}

Task<void> KeeperClient::supervise() {
  for (;;) {
    co_await reader_done_.wait();
    if (closing_) co_return;
    log_.warn("keeper", "the keeper (pid " + std::to_string(keeper_pid_) + ") is gone");
    co_await bury();
    for (;;) {
      Result<void> outcome = co_await establish(Deadline::after_ms(kReviveMs)).result();
      if (outcome.ok()) break;
      if (closing_) co_return;
      log_.error("keeper", outcome.error().message());
      co_await ring_.sleep_until(Deadline::after_ms(kPauseMs));
    }
    log_.info("keeper", "taken up again by pid " + std::to_string(keeper_pid_));
  }
}

// Until it is a zombie its children are not reparented and its lock is not free.
Task<void> KeeperClient::bury() {
  co_await disconnect();
  if (keeper_pidfd_.valid()) {
    Result<int> ended = co_await with_deadline(ring_, Deadline::after_ms(2000),
                                               wait_readable(ring_, keeper_pidfd_.get()))
                            .result();
    // Not ended: it only took another connection instead of ours.
    if (ended.ok()) static_cast<void>(sys::waitid_nohang(keeper_pidfd_.get()));
    keeper_pidfd_.reset();
  }
}

Task<void> KeeperClient::disconnect() {
  if (!socket_.valid()) co_return;
  ::shutdown(socket_.get(), SHUT_RDWR);
  while (!reader_done_.is_set()) co_await reader_done_.wait();
  socket_.reset();
}

Task<void> KeeperClient::establish(Deadline deadline) {
  co_await disconnect();
  start_error_.reset();
  Status connected = connect();
  if (!connected.ok()) {
    if (!connected.error().is(Errc::unavailable) && connected.error().sys_errno != ENOENT) {
      co_await fail(std::move(connected).error());
    }
    co_await start();
  }
  reader_done_.reset();
  scope_->spawn(read_all());
  co_await greet(deadline);
  if (fresh_) co_await adopt_all(deadline);
  co_await learn_all(deadline);
  connected_.set();
}

// ENOENT or unavailable: nobody is there.
Status KeeperClient::connect() {
  const std::string path = options_.state_dir + "/keeper.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return make_error(Errc::invalid_argument, "the socket path is longer than 107 bytes: " + path);
  }
  ::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return sys_error(errno, "socket", path);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return sys_error(errno, "connect", path);
  }
  // The ring waits on it, and the ring wants descriptors that block.
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return sys_error(errno, "getsockopt", path);
  }
  if (peer.uid != 0) {
    return make_error(Errc::permission_denied, "not root's keeper listens at " + path);
  }
  TRY(keeper_pidfd_, sys::pidfd_open(peer.pid));
  keeper_pid_ = peer.pid;
  socket_ = std::move(fd);
  return {};
}

Status KeeperClient::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return sys_error(errno, "socketpair");
  }
  UniqueFd ours(ends[0]);
  // Above the numbers that they get: one must not overwrite the other, and dup2 onto itself would
  // leave it close-on-exec in older libraries.
  UniqueFd theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, kProgramFd + 1));
  UniqueFd original(ends[1]);
  if (!theirs.valid()) return sys_error(errno, "fcntl");
  TRY(const UniqueFd tree, open_program(options_.keeper_binary));
  UniqueFd program(::fcntl(tree.get(), F_DUPFD_CLOEXEC, kProgramFd + 1));
  if (!program.valid()) return sys_error(errno, "fcntl");
  TRY(const pid_t pid, spawn_keeper(options_, theirs.get(), program.get()));
  TRY(keeper_pidfd_, sys::pidfd_open(pid));
  keeper_pid_ = pid;
  socket_ = std::move(ours);
  ++starts_;
  return {};
}

Task<void> KeeperClient::greet(Deadline deadline) {
  Request message(MessageType::hello);
  Result<Answer> answer = co_await exchange(std::move(message), deadline, nullptr).result();
  if (!answer.ok()) {
    // It may have gone before it was greeted; what it said before is heard until the reader ends.
    co_await bury();
    Error error = start_error_ ? *start_error_ : std::move(answer).error();
    co_await fail(std::move(error));
  }
  HelloAnswer hello;
  if (answer->body.size() != sizeof hello) co_await fail(Errc::internal, "keeper: odd hello");
  ::memcpy(&hello, answer->body.data(), sizeof hello);
  keeper_pid_ = hello.pid;
  fresh_ = hello.fresh != 0;
  outdated_ = hello.plan_version != container::kPlanVersion;
  if (!answer->fds.empty()) staging_ = std::move(answer->fds);
}

Task<void> KeeperClient::adopt_all(Deadline deadline) {
  std::vector<std::string> ids;
  for (const auto& [id, holding] : processes_) {
    if (holding.record.state != ProcessState::launching) ids.push_back(id);
  }
  for (const std::string& id : ids) {
    Holding& holding = processes_.at(id);
    ProcessRecord record = holding.record;
    std::vector<int> fds;
    record.fds = 0;
    const std::pair<FdBit, const UniqueFd*> all[] = {
        {kFdPidfd, &holding.pidfd}, {kFdLog, &holding.log}, {kFdLogNext, &holding.log_next},
        {kFdOut, &holding.out},     {kFdErr, &holding.err}, {kFdStdin, &holding.in}};
    for (const auto& [bit, fd] : all) {
      if (!fd->valid()) continue;
      record.fds |= bit;
      fds.push_back(fd->get());
    }
    Request adopt(MessageType::adopt_process, record);
    adopt.fds = std::move(fds);
    Answer adopted = co_await exchange(std::move(adopt), deadline, nullptr);
  }
  for (const auto& [key, fds] : held_) {
    NameBody body;
    body.name.assign(key);
    Request adopt(MessageType::adopt_held, body);
    for (const UniqueFd& fd : fds) adopt.fds.push_back(fd.get());
    Answer adopted = co_await exchange(std::move(adopt), deadline, nullptr);
  }
  Request done(MessageType::adopt_done);
  for (const UniqueFd& fd : staging_) done.fds.push_back(fd.get());
  Answer answer = co_await exchange(std::move(done), deadline, nullptr);
  staging_ = std::move(answer.fds);
  // What was to be reopened was.
  for (auto& [id, holding] : processes_) {
    if (!holding.log_next.valid()) continue;
    close_log(std::exchange(holding.log, std::move(holding.log_next)));
  }
}

Task<void> KeeperClient::learn_all(Deadline deadline) {
  std::vector<Answer> parts;
  Request ask_list(MessageType::list);
  Answer list = co_await exchange(std::move(ask_list), deadline, &parts);
  std::map<std::string, bool> listed;
  for (Answer& part : parts) {
    if (part.body.size() != sizeof(ProcessRecord)) continue;
    ProcessRecord record;
    ::memcpy(&record, part.body.data(), sizeof record);
    listed[std::string(record.id.view())] = true;
    learn_process(part);
  }
  std::vector<std::string> gone;
  for (const auto& [id, holding] : processes_) {
    if (!listed.contains(id)) gone.push_back(id);
  }
  for (const std::string& id : gone) drop_process(id);
  std::vector<Answer> held_parts;
  Request ask_held(MessageType::held);
  Answer held = co_await exchange(std::move(ask_held), deadline, &held_parts);
  held_.clear();
  for (Answer& part : held_parts) {
    NameBody body;
    if (part.body.size() != sizeof body) continue;
    ::memcpy(&body, part.body.data(), sizeof body);
    held_[std::string(body.name.view())] = std::move(part.fds);
  }
}

void KeeperClient::learn_process(Answer& part) {
  ProcessRecord record;
  ::memcpy(&record, part.body.data(), sizeof record);
  const std::string id(record.id.view());
  Holding& holding = processes_[id];
  const bool exited = record.state == ProcessState::exited;
  const bool told = holding.record.state == ProcessState::exited;
  holding.record = record;
  close_log(std::move(holding.log));
  for (UniqueFd* fd : {&holding.pidfd, &holding.log, &holding.out, &holding.err, &holding.in}) {
    fd->reset();
  }
  size_t next = 0;
  const std::pair<FdBit, UniqueFd*> all[] = {{kFdPidfd, &holding.pidfd},
                                             {kFdLog, &holding.log},
                                             {kFdOut, &holding.out},
                                             {kFdErr, &holding.err},
                                             {kFdStdin, &holding.in}};
  for (const auto& [bit, fd] : all) {
    if ((record.fds & bit) != 0 && next < part.fds.size()) *fd = std::move(part.fds[next++]);
  }
  if (!exited && holding.abandoned) {
    static_cast<void>(sys::pidfd_send_signal(holding.pidfd.get(), SIGKILL));
  }
  if (!exited || told) return;
  holding.record.state = ProcessState::running;  // note_exit makes the step
  ExitRecord exit;
  exit.id = record.id;
  exit.kind = record.kind;
  exit.exit_code = record.exit_code;
  exit.exit_known = record.exit_known;
  exit.finished_at_ns = record.finished_at_ns;
  note_exit(exit);
}

}  // namespace berth::keeper
