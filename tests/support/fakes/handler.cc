// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fakes/handler.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

namespace berth::fakes {

using plugins::Exit;

namespace {

constexpr std::size_t kIdBytesMax = 120;
constexpr std::size_t kKeptMax = 3;

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  if (!fd.valid()) return UniqueFd();
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys_error(errno, "fcntl F_DUPFD_CLOEXEC");
  return copy;
}

Status check_id(const std::string& id) {
  if (!id.empty() && id.size() <= kIdBytesMax) return {};
  return make_error(Errc::invalid_argument, "an id is 1..120 bytes");
}

Status check_program(const Program& program, const std::vector<std::string>& args) {
  if (args.empty()) return make_error(Errc::invalid_argument, "process.args: is empty");
  if (program.kind == Program::Kind::missing) return sys_error(ENOENT, "exec", args.front());
  if (program.kind == Program::Kind::no_program) return sys_error(EACCES, "exec", args.front());
  return {};
}

struct Pipe {
  UniqueFd read_end{};
  UniqueFd write_end{};
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

plugins::Started started_of(const Process& process) {
  return {.pid = process.pid, .started_at_ns = process.started_at_ns, .stages = {}};
}

}  // namespace

Status check_spec(const oci::Spec& spec) {
  const oci::Hooks& hooks = spec.hooks;
  const std::pair<const char*, bool> all[] = {
      {"hooks.prestart", hooks.prestart.empty()},
      {"hooks.createRuntime", hooks.create_runtime.empty()},
      {"hooks.createContainer", hooks.create_container.empty()},
      {"hooks.startContainer", hooks.start_container.empty()},
      {"hooks.poststart", hooks.poststart.empty()},
      {"hooks.poststop", hooks.poststop.empty()}};
  for (const auto& [member, is_empty] : all) {
    if (is_empty) continue;
    return make_error(Errc::invalid_argument, std::string(member) + ": hooks are not supported");
  }
  if (spec.process.args.empty()) {
    return make_error(Errc::invalid_argument, "process.args: is empty");
  }
  return {};
}

FakeHandler::FakeHandler(Machine& machine, Faults& faults) : machine_(machine), faults_(faults) {
  machine_.on_end = [this](const Exit& exit) { note_end(exit); };
}

FakeHandler::~FakeHandler() {
  machine_.on_end = nullptr;
}

void FakeHandler::note_end(const Exit& exit) {
  unreported_.push_back(exit);
  has_exit_.set();
}

void FakeHandler::end_unknown(const std::set<std::string>& sandboxes,
                              const std::set<std::string>& containers,
                              std::vector<std::string>& ended) {
  std::vector<std::string> strangers;
  for (const auto& [id, process] : machine_.processes) {
    const bool known = process.of == Exit::Of::container
                           ? containers.contains(id)
                           : process.of == Exit::Of::sandbox && sandboxes.contains(id);
    if (!known) strangers.push_back(id);
  }
  for (const std::string& id : strangers) {
    if (!machine_.processes.contains(id)) continue;
    ended.push_back("process " + id + " belonged to nothing known");
    machine_.end(id, 128 + SIGKILL);
    machine_.processes.erase(id);
  }
  std::vector<std::string> dropped;
  for (const auto& [id, sandbox] : machine_.sandboxes) {
    if (!sandboxes.contains(id)) dropped.push_back(id);
  }
  for (const std::string& id : dropped) {
    ended.push_back("sandbox " + id + " belonged to nothing known");
    machine_.drop_sandbox(id);
  }
}

Task<plugins::Recovered> FakeHandler::recover(std::vector<plugins::KnownSandbox> known) {
  co_await faults_.before("handler.recover");
  plugins::Recovered recovered;
  std::set<std::string> sandboxes;
  std::set<std::string> containers;
  for (const plugins::KnownSandbox& each : known) {
    sandboxes.insert(each.sandbox_id);
    containers.insert(each.container_ids.begin(), each.container_ids.end());
  }
  end_unknown(sandboxes, containers, recovered.ended);
  unreported_.clear();
  for (const auto& [id, process] : machine_.processes) {
    if (process.exit) note_end(*process.exit);
    if (process.of != Exit::Of::container) continue;
    if (process.exit) {
      recovered.exited.push_back(*process.exit);
    } else {
      recovered.living.push_back({.container_id = id,
                                  .pid = process.pid,
                                  .started_at_ns = process.started_at_ns,
                                  .log_lost = process.log_lost});
    }
  }
  for (const std::string& id : sandboxes) {
    if (!machine_.sandboxes.contains(id)) continue;
    plugins::SandboxStatus status = co_await status_of(id);
    recovered.sandboxes.push_back(std::move(status));
  }
  co_await faults_.after("handler.recover");
  co_return recovered;
}

Result<plugins::SandboxStatus> FakeHandler::status_of(const std::string& sandbox_id) {
  const auto found = machine_.sandboxes.find(sandbox_id);
  if (found == machine_.sandboxes.end()) {
    return make_error(Errc::not_found, "sandbox `" + sandbox_id + "` does not exist");
  }
  const FakeSandbox& sandbox = found->second;
  plugins::SandboxStatus status;
  status.sandbox_id = sandbox_id;
  status.lost = sandbox.lost;
  if (sandbox.namespaces.pid) {
    const Process* init = machine_.find(sandbox_id);
    if (init == nullptr || init->exit) {
      status.lost = "its init has ended";
    } else {
      status.init_pid = init->pid;
    }
  }
  status.ready = status.lost.empty();
  TRY(status.netns, duplicate(sandbox.netns));
  for (const UniqueFd& fd : sandbox.kept) {
    TRY(UniqueFd copy, duplicate(fd));
    status.kept.push_back(std::move(copy));
  }
  return status;
}

Result<plugins::SandboxStatus> FakeHandler::make_sandbox(plugins::SandboxRequest request) {
  TRY_(check_id(request.sandbox_id));
  const std::string id = request.sandbox_id;
  if (machine_.sandboxes.contains(id)) {
    return make_error(Errc::failed_precondition, "sandbox `" + id + "` is started already");
  }
  if (request.kept.size() > kKeptMax) {
    return make_error(Errc::invalid_argument, "more than 3 descriptors to keep");
  }
  machine_.sandboxes[id] = FakeSandbox{.namespaces = request.namespaces,
                                       .netns = std::move(request.netns),
                                       .kept = std::move(request.kept)};
  if (request.namespaces.pid) {
    machine_.start({.of = Exit::Of::sandbox, .id = id, .sandbox_id = id}, UniqueFd());
  }
  return status_of(id);
}

Task<plugins::SandboxStatus> FakeHandler::start_sandbox(plugins::SandboxRequest request) {
  co_await faults_.before("handler.start_sandbox");
  plugins::SandboxStatus status = co_await make_sandbox(std::move(request));
  co_await faults_.after("handler.start_sandbox");
  co_return status;
}

Task<void> FakeHandler::stop_sandbox(std::string sandbox_id) {
  co_await faults_.before("handler.stop_sandbox");
  machine_.drop_sandbox(sandbox_id);
  std::erase_if(unreported_, [&sandbox_id](const Exit& exit) { return exit.id == sandbox_id; });
  co_await faults_.after("handler.stop_sandbox");
}

Task<plugins::SandboxStatus> FakeHandler::sandbox_status(std::string sandbox_id) {
  co_await faults_.before("handler.sandbox_status");
  plugins::SandboxStatus status = co_await status_of(sandbox_id);
  co_return status;
}

Task<void> FakeHandler::keep(std::string sandbox_id, std::vector<UniqueFd> kept) {
  co_await faults_.before("handler.keep");
  const auto found = machine_.sandboxes.find(sandbox_id);
  if (found == machine_.sandboxes.end()) {
    co_await fail(Errc::not_found, "sandbox `" + sandbox_id + "` does not exist");
  }
  found->second.kept = std::move(kept);
  co_await faults_.after("handler.keep");
}

Task<void> FakeHandler::check(const oci::Spec& spec) {
  co_await faults_.before("handler.check");
  co_await check_spec(spec);
}

Result<plugins::Started> FakeHandler::launch(plugins::StartRequest request) {
  TRY_(check_id(request.container_id));
  TRY_(check_spec(request.spec));
  if (!machine_.sandboxes.contains(request.sandbox_id)) {
    return make_error(Errc::failed_precondition,
                      "sandbox `" + request.sandbox_id + "` does not exist");
  }
  TRY(const plugins::SandboxStatus sandbox, status_of(request.sandbox_id));
  if (!sandbox.ready) {
    return make_error(Errc::failed_precondition,
                      "sandbox `" + request.sandbox_id + "`: " + sandbox.lost);
  }
  if (machine_.processes.contains(request.container_id)) {
    return make_error(Errc::failed_precondition,
                      "container `" + request.container_id + "` is started already");
  }
  Process process{.of = Exit::Of::container,
                  .id = request.container_id,
                  .sandbox_id = request.sandbox_id,
                  .program = program_of(request.spec.process.args)};
  TRY_(check_program(process.program, request.spec.process.args));
  process.log = std::move(request.stdio.log_file);
  UniqueFd stdin_read;
  if (request.stdio.open_stdin) {
    TRY(Pipe pipe, make_pipe());
    process.stdin_write = std::move(pipe.write_end);
    stdin_read = std::move(pipe.read_end);
  }
  return started_of(machine_.start(std::move(process), std::move(stdin_read)));
}

Task<plugins::Started> FakeHandler::start(plugins::StartRequest request) {
  co_await faults_.before("handler.start");
  plugins::Started started = co_await launch(std::move(request));
  co_await faults_.after("handler.start");
  co_return started;
}

Result<plugins::Started> FakeHandler::launch_exec(plugins::ExecRequest request) {
  TRY_(check_id(request.exec_id));
  const Process* container = machine_.find(request.container_id);
  if (container == nullptr) {
    return make_error(Errc::not_found, "container `" + request.container_id + "` does not exist");
  }
  if (container->exit) {
    return make_error(Errc::failed_precondition,
                      "container `" + request.container_id + "` does not run");
  }
  Process process{.of = Exit::Of::exec,
                  .id = request.exec_id,
                  .sandbox_id = container->sandbox_id,
                  .container_id = request.container_id,
                  .program = program_of(request.process.args)};
  TRY_(check_program(process.program, request.process.args));
  process.log = std::move(request.stdio.log_file);
  process.out = std::move(request.stdio.out);
  process.err = std::move(request.stdio.err);
  UniqueFd stdin_read = std::move(request.stdio.in);
  if (request.stdio.open_stdin) {
    TRY(Pipe pipe, make_pipe());
    process.stdin_write = std::move(pipe.write_end);
    stdin_read = std::move(pipe.read_end);
  }
  return started_of(machine_.start(std::move(process), std::move(stdin_read)));
}

Task<plugins::Started> FakeHandler::exec(plugins::ExecRequest request) {
  co_await faults_.before("handler.exec");
  plugins::Started started = co_await launch_exec(std::move(request));
  co_await faults_.after("handler.exec");
  co_return started;
}

Task<void> FakeHandler::signal(std::string container_id, int signal_number) {
  co_await faults_.before("handler.signal");
  machine_.signal(container_id, signal_number);
  co_await faults_.after("handler.signal");
}

Task<void> FakeHandler::kill_exec(std::string exec_id) {
  co_await faults_.before("handler.kill_exec");
  machine_.signal(exec_id, SIGKILL);
  co_await faults_.after("handler.kill_exec");
}

Task<Exit> FakeHandler::next_exit() {
  for (;;) {
    if (closed_) co_await fail(Errc::cancelled, "the handler is closed");
    if (!unreported_.empty()) break;
    has_exit_.reset();
    co_await has_exit_.wait();
  }
  Exit exit = std::move(unreported_.front());
  unreported_.pop_front();
  // Nothing of an exec is kept once its end was told.
  if (exit.of == Exit::Of::exec) machine_.processes.erase(exit.id);
  co_return exit;
}

Task<void> FakeHandler::remove(std::string container_id) {
  co_await faults_.before("handler.remove");
  const Process* process = machine_.find(container_id);
  if (process != nullptr && !process->exit) {
    co_await fail(Errc::failed_precondition, "container `" + container_id + "` runs");
  }
  machine_.processes.erase(container_id);
  std::erase_if(unreported_, [&container_id](const Exit& exit) { return exit.id == container_id; });
  co_await faults_.after("handler.remove");
}

Task<void> FakeHandler::reopen_log(std::string container_id, UniqueFd log_file) {
  co_await faults_.before("handler.reopen_log");
  const auto found = machine_.processes.find(container_id);
  if (found == machine_.processes.end()) {
    co_await fail(Errc::not_found, "container `" + container_id + "` does not exist");
  }
  if (found->second.exit) {
    co_await fail(Errc::failed_precondition, "container `" + container_id + "` does not run");
  }
  found->second.log = std::move(log_file);
  found->second.log_lost = false;
  co_await faults_.after("handler.reopen_log");
}

Task<UniqueFd> FakeHandler::stdin_of(std::string id) {
  co_await faults_.before("handler.stdin_of");
  const Process* process = machine_.find(id);
  if (process == nullptr) co_return UniqueFd();
  UniqueFd copy = co_await duplicate(process->stdin_write);
  co_return copy;
}

Task<void> FakeHandler::close_stdin(std::string id) {
  co_await faults_.before("handler.close_stdin");
  const auto found = machine_.processes.find(id);
  if (found == machine_.processes.end()) {
    co_await fail(Errc::not_found, "no container or exec `" + id + "`");
  }
  found->second.stdin_write.reset();
  co_await faults_.after("handler.close_stdin");
}

Task<void> FakeHandler::close() {
  closed_ = true;
  has_exit_.set();
  co_return;
}

}  // namespace berth::fakes
