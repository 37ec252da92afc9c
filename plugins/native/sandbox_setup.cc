// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/sandbox_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "core/linux/namespace.h"
#include "core/ring/offload.h"

namespace berth::native {
namespace {

Status enter(int fd, int flag, const char* what) {
  if (fd >= 0 && ::setns(fd, flag) != 0) return sys_error(errno, "setns", what);
  return {};
}

Status write_sysctl(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/" + sysctl_path(name);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) {
    Error error = sys_error(errno, "open", path);
    if (error.sys_errno == ENOENT) error.code = Errc::invalid_argument;
    return error;
  }
  if (::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return sys_error(errno, "write", path);
  }
  return {};
}

Status configure_here(const SandboxSettings& settings) {
  TRY_(enter(settings.uts, CLONE_NEWUTS, "the sandbox's uts namespace"));
  if (settings.uts >= 0 && ::sethostname(settings.hostname.data(), settings.hostname.size()) != 0) {
    return sys_error(errno, "sethostname", settings.hostname);
  }
  TRY_(enter(settings.ipc, CLONE_NEWIPC, "the sandbox's ipc namespace"));
  TRY_(enter(settings.net, CLONE_NEWNET, "the sandbox's network namespace"));
  for (const auto& [name, value] : settings.sysctl) TRY_(write_sysctl(name, value));
  return {};
}

// On a thread of its own that ends: one that has entered a namespace is not used again.
Result<int> configure_on_thread(const SandboxSettings& settings) {
  Status outcome;
  std::thread thread([&]() { outcome = configure_here(settings); });
  thread.join();
  TRY_(std::move(outcome));
  return 0;
}

}  // namespace

Task<void> configure_sandbox(Ring& ring, SandboxSettings settings) {
  if (settings.sysctl.empty()) {
    // A visit of the loop's own thread takes microseconds, another thread a hundred times that.
    if (settings.uts >= 0) co_await sys::set_hostname_in(settings.uts, settings.hostname);
    co_return;
  }
  std::function<Result<int>()> work = [&settings]() { return configure_on_thread(settings); };
  co_await offload(ring, std::move(work));
}

std::string sysctl_path(const std::string& name) {
  std::string path = name;
  if (path.find('/') == std::string::npos) std::replace(path.begin(), path.end(), '.', '/');
  return path;
}

}  // namespace berth::native
