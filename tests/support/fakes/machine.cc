// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fakes/machine.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <utility>

namespace berth::fakes {

namespace {

constexpr int kKilled = 128 + SIGKILL;

// Of a test's few short lines: a pipe or file that takes nothing is a broken test.
void write_all(const UniqueFd& fd, const std::string& text) {
  if (!fd.valid()) return;
  CHECK(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

std::string timestamp() {
  const std::int64_t now_ns = realtime_now_ns();
  const std::time_t seconds = now_ns / kNanosecondsPerSecond;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s.%09dZ", date,
                static_cast<int>(now_ns % kNanosecondsPerSecond));
  return text;
}

}  // namespace

Machine::Machine(Ring& ring, Faults& faults)
    : ring_(ring), faults_(faults), beside_(ring.ready(), [](Error) {}) {}

void Machine::write_log(Process& process, const std::string& line) {
  write_all(process.log, timestamp() + " stdout F " + line + "\n");
}

const Process* Machine::find(const std::string& id) const {
  const auto found = processes.find(id);
  return found == processes.end() ? nullptr : &found->second;
}

Process& Machine::start(Process process, UniqueFd stdin_read) {
  const std::string id = process.id;
  process.pid = next_pid_++;
  process.started_at_ns = realtime_now_ns();
  Process& started = processes[id] = std::move(process);
  switch (started.program.kind) {
    case Program::Kind::exits:
      end(id, started.program.exit_code);
      break;
    case Program::Kind::prints:
      write_log(started, started.program.text);
      write_all(started.out, started.program.text + "\n");
      end(id, 0);
      break;
    case Program::Kind::copies:
      if (stdin_read.valid()) {
        auto kept = std::make_shared<UniqueFd>(std::move(stdin_read));
        beside_.spawn(copy_stdin(id, std::move(kept)));
      } else {
        end(id, 0);
      }
      break;
    case Program::Kind::repeats:
      beside_.spawn(repeat(id));
      break;
    default:
      break;
  }
  return started;
}

Task<void> Machine::repeat(std::string id) {
  constexpr std::int64_t kPauseMs = 20;
  for (;;) {
    const auto found = processes.find(id);
    if (found == processes.end() || found->second.exit) co_return;
    if (!found->second.log_lost) write_log(found->second, found->second.program.text);
    co_await ring_.sleep_until(Deadline::after_ms(kPauseMs));
  }
}

Task<void> Machine::copy_stdin(std::string id, std::shared_ptr<UniqueFd> stdin_read) {
  std::string line;
  char buffer[256];
  for (;;) {
    const int count = co_await ring_.read(stdin_read->get(), std::span(buffer, sizeof buffer));
    const auto found = processes.find(id);
    if (found == processes.end() || found->second.exit) co_return;
    if (count <= 0) break;
    line.append(buffer, static_cast<std::size_t>(count));
    for (std::size_t end; (end = line.find('\n')) != std::string::npos; line.erase(0, end + 1)) {
      write_log(found->second, line.substr(0, end));
      write_all(found->second.out, line.substr(0, end + 1));
    }
  }
  end(id, 0);
}

Task<void> Machine::end_later(std::string id, int exit_code, std::int64_t delay_ns) {
  co_await ring_.sleep_until(Deadline::after_ns(delay_ns));
  end(id, exit_code);
}

void Machine::signal(const std::string& id, int signal_number) {
  const auto found = processes.find(id);
  if (found == processes.end() || found->second.exit || found->second.ending) return;
  Process& process = found->second;
  int exit_code = kKilled;
  if (signal_number != SIGKILL) {
    if (process.program.kind != Program::Kind::exits_on_term || signal_number != SIGTERM) return;
    exit_code = process.program.exit_code;
  }
  const std::int64_t delay_ns = faults_.ending_ns();
  if (delay_ns == 0) {
    end(id, exit_code);
  } else {
    // A process that is ending of its own accord can still be killed.
    process.ending = signal_number == SIGKILL;
    beside_.spawn(end_later(id, exit_code, delay_ns));
  }
}

void Machine::end(const std::string& id, std::optional<int> exit_code) {
  const auto found = processes.find(id);
  if (found == processes.end() || found->second.exit) return;
  Process& process = found->second;
  if (faults_.loses_exit_code()) exit_code.reset();
  process.exit = plugins::Exit{.of = process.of,
                               .id = id,
                               .exit_code = exit_code,
                               .finished_at_ns = exit_code ? realtime_now_ns() : 0};
  exit_codes[id].push_back(exit_code);
  process.log.reset();
  process.out.reset();
  process.err.reset();
  const plugins::Exit exit = *process.exit;
  const plugins::Exit::Of of = process.of;
  const std::string sandbox_id = process.sandbox_id;
  if (on_end) on_end(exit);
  // The end of a PID namespace ends everything in it.
  std::vector<std::string> followers;
  for (const auto& [other, each] : processes) {
    const bool in_container = of == plugins::Exit::Of::container && each.container_id == id;
    const bool in_sandbox = of == plugins::Exit::Of::sandbox && each.sandbox_id == sandbox_id;
    if (!each.exit && (in_container || in_sandbox)) followers.push_back(other);
  }
  for (const std::string& follower : followers) end(follower, kKilled);
}

void Machine::kill_container(const std::string& container_id) {
  std::vector<std::string> killed;
  for (const auto& [id, process] : processes) {
    if (id == container_id || process.container_id == container_id) killed.push_back(id);
  }
  for (const std::string& id : killed) signal(id, SIGKILL);
}

bool Machine::has_living(const std::string& container_id) const {
  for (const auto& [id, process] : processes) {
    const bool of_container = id == container_id || process.container_id == container_id;
    if (of_container && !process.exit) return true;
  }
  return false;
}

void Machine::drop_sandbox(const std::string& sandbox_id) {
  const auto found = processes.find(sandbox_id);
  if (found != processes.end()) {
    end(sandbox_id, kKilled);
    processes.erase(sandbox_id);
  }
  sandboxes.erase(sandbox_id);
}

void Machine::lose_namespaces(const std::string& sandbox_id, std::string what) {
  const auto found = sandboxes.find(sandbox_id);
  if (found != sandboxes.end()) found->second.lost = std::move(what);
}

Task<void> Machine::close() {
  beside_.cancel();
  co_await beside_.close();
}

}  // namespace berth::fakes
