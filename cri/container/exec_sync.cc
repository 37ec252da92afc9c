// SPDX-License-Identifier: Apache-2.0
// CRI: "ExecSync runs a command in a container synchronously." "timeout: Timeout in seconds to stop
// the command. Default: 0 (run forever)." "The output is truncated to 16MB."
//
// Kubelet and crictl refuse an answer of more than 16 MiB, and with it the exit code. So both
// streams together are cut to that size, the longer one first.
//
// The call ends with the process, not with its pipes: a grandchild that holds a pipe does not keep
// the call. After the end only what is already in the pipes is read. On timeout the process group
// of the exec is killed and the call fails with DEADLINE_EXCEEDED.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/units.h"
#include "core/ring/with_deadline.h"
#include "core/task/scope.h"
#include "cri/container/calls.h"
#include "cri/container/stored_spec.h"
#include "cri/field.h"
#include "cri/ids.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// Of an answer; its fields' tags, lengths and exit code need less than 64 bytes.
constexpr std::size_t kOutputBytesMax = 16_MiB - 64;
constexpr std::size_t kReadBytes = 32_KiB;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct Output {
  UniqueFd pipe;
  std::string bytes;
  bool at_end = false;
};

// More than the limit is read and dropped: a process that writes must not hang on a full pipe.
void keep(Output& output, const char* bytes, std::size_t count) {
  const std::size_t room = kOutputBytesMax - std::min(kOutputBytesMax, output.bytes.size());
  output.bytes.append(bytes, std::min(room, count));
}

Task<void> collect(Ring& ring, std::shared_ptr<Output> output) {
  const auto buffer = std::make_unique<char[]>(kReadBytes);
  for (;;) {
    const int count = co_await ring.read(output->pipe.get(), std::span(buffer.get(), kReadBytes));
    if (count <= 0) break;
    keep(*output, buffer.get(), static_cast<std::size_t>(count));
  }
  output->at_end = true;
}

// What is in the pipe now, without waiting for more. Bounded by what a pipe can hold when we begin.
void drain(Output& output) {
  if (output.at_end) return;
  int available = 0;
  if (::ioctl(output.pipe.get(), FIONREAD, &available) != 0) return;
  std::string rest(static_cast<std::size_t>(available), '\0');
  const ssize_t count = available > 0 ? ::read(output.pipe.get(), rest.data(), rest.size()) : 0;
  if (count > 0) keep(output, rest.data(), static_cast<std::size_t>(count));
}

// Half of the room is each one's, and what the other does not need.
void fit(std::string& out, std::string& err) {
  const auto share = [](const std::string& other) {
    return std::max(kOutputBytesMax / 2, kOutputBytesMax - std::min(kOutputBytesMax, other.size()));
  };
  const std::size_t out_max = share(err);
  const std::size_t err_max = share(out);
  if (out.size() > out_max) out.resize(out_max);
  if (err.size() > err_max) err.resize(err_max);
}

Task<plugins::ExecRequest> prepare(Node& node, const v1::ExecSyncRequest& request,
                                   std::shared_ptr<Container> container) {
  records::ContainerRecord record = co_await records::load_container(node.state, container->id());
  oci::Spec spec = co_await load_spec(node, container, record);
  plugins::ExecRequest exec;
  exec.container_id = container->id();
  exec.exec_id = co_await make_id();
  exec.process = std::move(spec.process);
  exec.process.args.assign(request.cmd().begin(), request.cmd().end());
  exec.process.terminal = false;
  exec.seccomp = std::move(spec.linux.seccomp);
  exec.placement = co_await node.resources.placement(record.sandbox_id(), record.id());
  co_return exec;
}

// Removes the waiter however the call ends.
class ExecEntry {
 public:
  ExecEntry(Pods& pods, std::string id, ExecWait& wait) : pods_(pods), id_(std::move(id)) {
    pods_.execs[id_] = &wait;
  }
  ExecEntry(const ExecEntry&) = delete;
  ~ExecEntry() { pods_.execs.erase(id_); }

 private:
  Pods& pods_;
  std::string id_;
};

Task<void> kill_and_wait(Node& node, plugins::RuntimeHandler& runtime, std::string exec_id,
                         ExecWait& wait) {
  Result<void> killed = co_await runtime.kill_exec(std::move(exec_id)).result();
  if (!killed.ok()) {
    // Never fails: the caller's scope of readers is closed after it.
    node.log.warn("exec", "kill: " + killed.error().message());
    co_return;
  }
  const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
  Result<void> ended = co_await with_deadline(node.ring, deadline, wait.ended.wait()).result();
  if (!ended.ok()) node.log.warn("exec", "a process does not end after SIGKILL");
}

Deadline deadline_of(const v1::ExecSyncRequest& request) {
  if (request.timeout() <= 0) return Deadline::never();
  if (request.timeout() > INT64_MAX / kNanosecondsPerSecond) return Deadline::never();
  return Deadline::after_ns(request.timeout() * kNanosecondsPerSecond);
}

}  // namespace

Task<v1::ExecSyncResponse> exec_sync(Node& node, const v1::ExecSyncRequest& request) {
  const Deadline deadline = deadline_of(request);
  const std::shared_ptr<Container> container =
      co_await node.pods.need_container("container_id", request.container_id());
  if (request.cmd_size() == 0 || request.cmd(0).empty()) {
    co_await fail(invalid_field("cmd", "is required"));
  }
  for (const std::string& word : request.cmd()) {
    if (word.find('\0') != std::string::npos) {
      co_await fail(invalid_field("cmd", "holds a NUL byte"));
    }
  }
  if (request.timeout() < 0) co_await fail(invalid_field("timeout", "is negative"));
  if (!container->running()) {
    co_await fail(Errc::failed_precondition,
                  "container_id: container `" + container->id() + "` is not running");
  }
  plugins::ExecRequest exec = co_await prepare(node, request, container);
  Pipe out_pipe = co_await make_pipe();
  Pipe err_pipe = co_await make_pipe();
  exec.stdio.out = std::move(out_pipe.write);
  exec.stdio.err = std::move(err_pipe.write);
  const auto out = std::make_shared<Output>();
  const auto err = std::make_shared<Output>();
  out->pipe = std::move(out_pipe.read);
  err->pipe = std::move(err_pipe.read);
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container->sandbox->handler());
  ExecWait wait;
  const std::string exec_id = exec.exec_id;
  const ExecEntry entry(node.pods, exec_id, wait);
  // The deadline includes the start: an execve on a volume that is gone does not end either.
  Task<plugins::Started> starting = runtime->exec(std::move(exec));
  co_await with_deadline(node.ring, deadline, std::move(starting));

  Scope readers(node.ring.ready(), [](Error) {});
  readers.spawn(collect(node.ring, out));
  readers.spawn(collect(node.ring, err));
  Result<void> ended = co_await with_deadline(node.ring, deadline, wait.ended.wait()).result();
  if (!ended.ok()) co_await shield(kill_and_wait(node, *runtime, exec_id, wait));
  readers.cancel();
  co_await readers.close();
  co_await std::move(ended);
  drain(*out);
  drain(*err);
  fit(out->bytes, err->bytes);
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(out->bytes));
  response.set_stderr(std::move(err->bytes));
  response.set_exit_code(wait.exit_code.value_or(255));
  co_return response;
}

}  // namespace berth::cri
