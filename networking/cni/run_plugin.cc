// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/run_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "core/ring/offload.h"
#include "core/ring/waitid.h"
#include "core/ring/with_deadline.h"
#include "core/task/scope.h"

namespace berth::networking::cni {
namespace {

constexpr std::size_t kOutSizeMax = 1 << 20;
constexpr std::size_t kErrSizeMax = 4 << 10;
// Output that a plugin wrote is in the pipe when it has ended. A descendant that holds the pipe
// open is not waited for longer than this.
constexpr std::int64_t kDrainMs = 100;
// From SIGKILL to the end of a process. One that hangs in the kernel is left to itself.
constexpr std::int64_t kKillMs = 2'000;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// Above the standard streams: dup2 in the child must not overwrite one that it still needs.
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (ends[0] > 2 && ends[1] > 2) return pipe;
  TRY(pipe.read, pipe.read.duplicate());
  TRY(pipe.write, pipe.write.duplicate());
  return pipe;
}

struct Process {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
};

struct Streams {
  int in;
  int out;
  int err;
};

Result<pid_t> spawn(const PluginRun& run, Streams streams) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, streams.in, 0);
  ::posix_spawn_file_actions_adddup2(&actions, streams.out, 1);
  ::posix_spawn_file_actions_adddup2(&actions, streams.err, 2);
  // Every descriptor of the agent is close-on-exec; this also covers those of libraries.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string name = run.path;
  std::vector<std::string> texts = run.environment;
  char* arguments[] = {name.data(), nullptr};
  std::vector<char*> environment;
  for (std::string& text : texts) environment.push_back(text.data());
  environment.push_back(nullptr);
  pid_t pid = -1;
  const int failed =
      ::posix_spawn(&pid, run.path.c_str(), &actions, &attributes, arguments, environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return sys_error(failed, "posix_spawn", run.path);
  return pid;
}

Result<Process> start(const PluginRun& run) {
  TRY(Pipe in, make_pipe());
  TRY(Pipe out, make_pipe());
  TRY(Pipe err, make_pipe());
  Process process;
  TRY(process.pid, spawn(run, {in.read.get(), out.write.get(), err.write.get()}));
  Result<UniqueFd> pidfd = sys::pidfd_open(process.pid);
  if (!pidfd.ok()) {
    ::kill(-process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
    return std::move(pidfd).error();
  }
  process.pidfd = std::move(*pidfd);
  process.in = std::move(in.write);
  process.out = std::move(out.read);
  process.err = std::move(err.read);
  return process;
}

// The process is not reaped while this is called, so the number names no other group.
void kill_group(const Process& process) {
  ::kill(-process.pid, SIGKILL);
}

// A plugin that does not read its input is no error: EPIPE ends this quietly.
Task<void> feed(Ring& ring, Process& process, const std::string& input) {
  std::string_view rest = input;
  while (!rest.empty()) {
    Result<int> wrote = co_await ring.write(process.in.get(), rest).result();
    if (!wrote.ok()) break;
    rest.remove_prefix(static_cast<std::size_t>(*wrote));
  }
  process.in.reset();
}

Task<void> collect_out(Ring& ring, const Process& process, PluginOutput& into) {
  std::array<char, 16384> buffer;
  for (;;) {
    Result<int> got = co_await ring.read(process.out.get(), buffer).result();
    if (!got.ok() || *got == 0) break;
    if (into.out.size() + static_cast<std::size_t>(*got) > kOutSizeMax) {
      into.is_out_too_long = true;
      kill_group(process);
      break;
    }
    into.out.append(buffer.data(), static_cast<std::size_t>(*got));
  }
}

Task<void> collect_err(Ring& ring, const Process& process, PluginOutput& into) {
  std::array<char, 4096> buffer;
  for (;;) {
    Result<int> got = co_await ring.read(process.err.get(), buffer).result();
    if (!got.ok() || *got == 0) break;
    into.err.append(buffer.data(), static_cast<std::size_t>(*got));
    if (into.err.size() > kErrSizeMax) into.err.erase(0, into.err.size() - kErrSizeMax);
  }
}

// Without reaping, so that the process group's number stays taken.
Task<void> ended(Ring& ring, const Process& process, Deadline deadline) {
  co_await with_deadline(ring, deadline,
                         waitid_pidfd(ring, process.pidfd.get(), WEXITED | WNOWAIT));
}

// What follows the end of the process, whatever ended it: the rest of its output, then the reap.
Task<void> finish(Ring& ring, Process& process, Scope& streams, PluginOutput& into) {
  Result<void> drained =
      co_await with_deadline(ring, Deadline::after_ms(kDrainMs), streams.close()).result();
  static_cast<void>(drained);
  Result<std::optional<sys::ExitStatus>> exit = sys::waitid_nohang(process.pidfd.get());
  if (exit.ok() && exit->has_value()) into.exit = **exit;
  co_return;
}

}  // namespace

Task<PluginOutput> run_plugin(Ring& ring, PluginRun run) {
  const auto shared = std::make_shared<const PluginRun>(std::move(run));
  std::function<Result<Process>()> starting = [shared]() { return start(*shared); };
  Process process = co_await offload(ring, std::move(starting));
  PluginOutput output;
  Scope streams(ring.ready(), nullptr);
  streams.spawn(feed(ring, process, shared->input));
  streams.spawn(collect_out(ring, process, output));
  streams.spawn(collect_err(ring, process, output));
  Result<void> waited = co_await ended(ring, process, shared->deadline).result();
  if (!waited.ok()) {
    output.timed_out = waited.error().is(Errc::deadline_exceeded);
    kill_group(process);
    Result<void> killed =
        co_await shield(ended(ring, process, Deadline::after_ms(kKillMs))).result();
    static_cast<void>(killed);
  }
  co_await shield(finish(ring, process, streams, output));
  if (!waited.ok() && !output.timed_out) co_await fail(std::move(waited).error());
  co_return output;
}

}  // namespace berth::networking::cni
