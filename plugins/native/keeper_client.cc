// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>

#include <utility>

#include "core/container/launch_plan.h"
#include "core/container/report.h"
#include "core/keeper/build_id.h"
#include "core/keeper/program.h"
#include "core/linux/pidfd.h"
#include "core/ring/with_deadline.h"
#include "plugins/native/keeper_start.h"

namespace berth::native {
namespace {

using keeper::MessageType;

constexpr std::int64_t kReviveMs = 10'000;
constexpr std::int64_t kPauseMs = 50;
constexpr std::int64_t kKeeperEndMs = 2000;

// Microseconds since `begin_ns` of each stage that the child came to.
std::vector<std::pair<std::string, std::int64_t>> stages_of(const keeper::LaunchAnswer& answer,
                                                            std::int64_t begin_ns) {
  std::vector<std::pair<std::string, std::int64_t>> stages;
  for (int i = 0; i < container::kStages; ++i) {
    if (answer.stage_ns[i] == 0) continue;
    const std::int64_t since_ns = static_cast<std::int64_t>(answer.stage_ns[i]) - begin_ns;
    stages.emplace_back(container::stage_name(static_cast<container::Stage>(i)), since_ns / 1000);
  }
  return stages;
}

}  // namespace

KeeperClient::KeeperClient(Ring& ring, Log& log, KeeperOptions options)
    : ring_(ring),
      log_(log),
      options_(std::move(options)),
      scope_(ring.ready(), [&log](Error error) { log.warn("keeper", error.message()); }),
      connection_(ring, scope_, *this),
      processes_(ring, scope_) {}

KeeperClient::~KeeperClient() = default;

Task<std::unique_ptr<KeeperClient>> KeeperClient::connect_or_start(Ring& ring, Log& log,
                                                                   KeeperOptions options,
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
  client->scope_.spawn(client->supervise());
  co_await client->renew(deadline);
  co_return client;
}

// Gives a keeper of another build this build's program.
Task<void> KeeperClient::renew(Deadline deadline) {
  Result<std::string> wanted = keeper::build_of_file(options_.binary);
  const bool other_build = wanted.ok() && !wanted->empty() && *wanted != build_;
  if (plan_version_ == container::kPlanVersion && !other_build) co_return;
  log_.info("keeper", "pid " + std::to_string(pid_) + " is of build " +
                          (build_.empty() ? "unknown" : build_) + " and gets this one's program");
  // One that cannot hand over by itself ends, and supervise() starts another.
  Result<void> replaced = co_await reexec(options_.binary, deadline).result();
  if (!replaced.ok()) log_.warn("keeper", replaced.error().message());
  co_await wait_connected(deadline);
}

Task<void> KeeperClient::supervise() {
  for (;;) {
    co_await connection_.ended().wait();
    if (closing_) co_return;
    log_.warn("keeper", "the keeper (pid " + std::to_string(pid_) + ") is gone");
    co_await wait_keeper_ended();
    for (;;) {
      Result<void> outcome = co_await establish(Deadline::after_ms(kReviveMs)).result();
      if (outcome.ok()) break;
      if (closing_) co_return;
      log_.error("keeper", outcome.error().message());
      co_await ring_.sleep_until(Deadline::after_ms(kPauseMs));
    }
    log_.info("keeper", "taken up again by pid " + std::to_string(pid_));
  }
}

// Until it is a zombie its children are not reparented and its lock is not free.
Task<void> KeeperClient::wait_keeper_ended() {
  co_await connection_.disconnect();
  if (!pidfd_.valid()) co_return;
  const Deadline deadline = Deadline::after_ms(kKeeperEndMs);
  const auto ended =
      co_await with_deadline(ring_, deadline, ring_.poll(pidfd_.get(), POLLIN)).result();
  // Not ended: it only took another connection instead of ours.
  if (ended.ok()) static_cast<void>(sys::waitid_nohang(pidfd_.get()));
  pidfd_.reset();
}

Task<void> KeeperClient::establish(Deadline deadline) {
  co_await connection_.disconnect();
  Result<KeeperPeer> peer = connect_keeper(options_.state_dir);
  if (!peer.ok()) {
    if (!peer.error().is(Errc::unavailable) && peer.error().sys_errno != ENOENT) {
      co_await fail(std::move(peer).error());
    }
    peer = start_keeper(options_.state_dir, options_.binary);
    if (peer.ok()) ++starts_;
  }
  KeeperPeer found = co_await std::move(peer);
  pidfd_ = std::move(found.pidfd);
  pid_ = found.pid;
  connection_.open(std::move(found.socket));
  Result<KeeperGreeting> greeting = co_await greet_keeper(connection_, staging_, deadline).result();
  if (!greeting.ok()) {
    // It may have gone before it was greeted; what it said before is read until the reader ends.
    co_await wait_keeper_ended();
    const std::optional<Error>& told = connection_.start_error();
    Error error = told ? *told : std::move(greeting).error();
    co_await fail(std::move(error));
  }
  pid_ = greeting->pid;
  plan_version_ = greeting->plan_version;
  if (greeting->fresh) co_await hand_over(connection_, shared(), deadline);
  const std::vector<std::string> to_forget = co_await learn_all(connection_, shared(), deadline);
  for (const std::string& id : to_forget) scope_.spawn(forget_abandoned(id));
  build_ = co_await ask_build(connection_, deadline);
  connected_.set();
}

void KeeperClient::disconnected() {
  connected_.reset();
}

void KeeperClient::process_exited(const keeper::ExitRecord& record) {
  if (processes_.exited(record)) {
    scope_.spawn(forget_abandoned(std::string(record.id.view())));
  }
}

void KeeperClient::reap_please(std::string id) {
  scope_.spawn(answer_reap(std::move(id)));
}

void KeeperClient::launch_answered(const std::string& id, const keeper::Header& header,
                                   keeper::Incoming& message) {
  processes_.launched(id, header, message);
}

void KeeperClient::foreign_launch_answered(const std::string& id, const keeper::Header& header,
                                           keeper::Incoming& message) {
  processes_.add_abandoned(id);
  processes_.launched(id, header, message);
}

void KeeperClient::launch_abandoned(const std::string& id, bool sent) {
  processes_.abandon(id, sent);
}

Task<void> KeeperClient::wait_connected(Deadline deadline) {
  if (closing_) co_await fail(Errc::unavailable, "the keeper's client is closed");
  while (!connected_.is_set()) co_await with_deadline(ring_, deadline, connected_.wait());
}

Task<KeeperAnswer> KeeperClient::request(KeeperRequest request, Deadline deadline) {
  co_await wait_connected(deadline);
  KeeperAnswer answer = co_await connection_.exchange(std::move(request), deadline);
  co_return answer;
}

Task<void> KeeperClient::repeat(MessageType type, std::string name, std::vector<int> fds,
                                Deadline deadline) {
  keeper::NameBody body;
  if (!body.name.assign(name)) {
    co_await fail(Errc::invalid_argument, "an id of 1 to 128 bytes is needed");
  }
  for (;;) {
    KeeperRequest again(type, body);
    again.fds = fds;
    Result<KeeperAnswer> answer = co_await request(std::move(again), deadline).result();
    if (answer.ok()) co_return;
    if (!answer.error().is(Errc::unavailable) || closing_ || deadline.passed()) {
      co_await fail(std::move(answer).error());
    }
    co_await yield();
  }
}

Task<void> KeeperClient::forget_abandoned(std::string id) {
  co_await repeat(MessageType::forget, id, {}, Deadline::never());
  processes_.forget(id);
}

// Our child since the keeper that made it died: its exit code is ours to fetch.
Task<void> KeeperClient::answer_reap(std::string id) {
  const std::optional<KnownProcess> process = processes_.find(id);
  if (!process || process->pidfd < 0) co_return;
  Result<std::optional<sys::ExitStatus>> status = sys::waitid_nohang(process->pidfd);
  // Not our child: the pidfd may tell the keeper when it has been reaped.
  if (!status.ok() || !status->has_value()) co_return;
  keeper::ExitRecord record;
  record.id.assign(id);
  record.exit_code = (*status)->exit_code;
  record.exit_known = 1;
  for (;;) {
    KeeperRequest again(MessageType::record_exit, record);
    Result<KeeperAnswer> told = co_await request(std::move(again), Deadline::never()).result();
    if (told.ok() || !told.error().is(Errc::unavailable) || closing_) co_return;
    co_await yield();
  }
}

Task<plugins::Started> KeeperClient::launch(KeeperLaunch launch, Deadline deadline) {
  co_await wait_connected(deadline);
  const std::int64_t begin_ns = monotonic_now_ns();
  KeeperRequest message = co_await processes_.begin_launch(launch);
  KeeperAnswer answer = co_await connection_.exchange(std::move(message), deadline);
  keeper::LaunchAnswer body;
  if (answer.body.size() != sizeof body) co_await fail(Errc::internal, "keeper: odd answer");
  ::memcpy(&body, answer.body.data(), sizeof body);
  plugins::Started started;
  started.pid = body.record.pid;
  started.started_at_ns = body.record.started_at_ns;
  started.stages = stages_of(body, begin_ns);
  co_return started;
}

Task<void> KeeperClient::reopen_log(std::string id, UniqueFd log, Deadline deadline) {
  struct Reopening {
    KeeperProcesses& processes;
    const std::string& id;
    UniqueFd duplicate;
    bool done = false;
    ~Reopening() { processes.end_reopen(id, std::move(duplicate), done); }
  };
  UniqueFd duplicate = co_await processes_.begin_reopen(id, std::move(log));
  Reopening reopening{processes_, id, std::move(duplicate)};
  std::vector<int> fds(1, reopening.duplicate.get());
  co_await repeat(MessageType::reopen_log, id, std::move(fds), deadline);
  reopening.done = true;
}

Task<void> KeeperClient::close_stdin(std::string id, Deadline deadline) {
  processes_.close_stdin(id);
  co_await repeat(MessageType::close_stdin, std::move(id), {}, deadline);
}

Task<void> KeeperClient::forget(std::string id, Deadline deadline) {
  co_await repeat(MessageType::forget, id, {}, deadline);
  processes_.forget(id);
}

Task<void> KeeperClient::hold(std::string key, std::vector<UniqueFd> fds, Deadline deadline) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  co_await repeat(MessageType::hold, key, std::move(numbers), deadline);
  descriptors_.set(key, std::move(fds));
}

Task<void> KeeperClient::drop(std::string key, Deadline deadline) {
  descriptors_.erase(key);
  co_await repeat(MessageType::drop, std::move(key), {}, deadline);
}

Task<void> KeeperClient::reexec(std::string path, Deadline deadline) {
  UniqueFd binary = co_await keeper::open_program(path);
  KeeperRequest message(MessageType::reexec);
  message.fds.push_back(binary.get());
  KeeperAnswer answer = co_await request(std::move(message), deadline);
  build_ = co_await ask_build(connection_, deadline);
}

Task<void> KeeperClient::shutdown(Deadline deadline) {
  co_await wait_connected(deadline);
  KeeperRequest message(MessageType::shutdown);
  KeeperAnswer answer = co_await connection_.exchange(std::move(message), deadline);
  closing_ = true;
  co_await with_deadline(ring_, deadline, ring_.poll(pidfd_.get(), POLLIN));
  static_cast<void>(sys::waitid_nohang(pidfd_.get()));
}

Task<void> KeeperClient::close() {
  closing_ = true;
  connected_.reset();
  processes_.close();
  connection_.shut_down();
  scope_.cancel();
  co_await scope_.close();
  connection_.release();
}

}  // namespace berth::native
