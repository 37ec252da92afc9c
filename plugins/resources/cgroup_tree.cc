// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/cgroup_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/linux/openat2.h"
#include "core/ring/offload.h"
#include "core/ring/ring.h"
#include "plugins/resources/cgroup_mounts.h"

namespace berth::plugins {
namespace {

constexpr int kRemovalTimeMaxMs = 2000;
constexpr int kRemovalIntervalFirstMs = 1;
constexpr int kRemovalIntervalMaxMs = 32;

}  // namespace

Status make_cgroup(const sys::Cgroup& root, const std::string& path) {
  if (::mkdirat(root.fd(), path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  const std::size_t slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos) {
    return sys_error(errno, "mkdir", root.name() + "/" + path);
  }
  TRY_(make_cgroup(root, path.substr(0, slash)));
  if (::mkdirat(root.fd(), path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return sys_error(errno, "mkdir", root.name() + "/" + path);
}

bool cgroup_exists(const sys::Cgroup& root, const std::string& path) {
  return ::faccessat(root.fd(), path.c_str(), F_OK, 0) == 0;
}

Status remove_cgroup(const sys::Cgroup& root, const std::string& path) {
  return root.remove_tree(path);
}

Status kill_cgroup(const sys::Cgroup& root, const std::string& path) {
  TRY(const sys::Cgroup group, sys::Cgroup::open_if_exists(root.fd(), path));
  if (!group.valid()) return {};
  Status killed = group.kill();
  // 1. the directory was opened; 2. a removal won; 3. its files answer ENODEV or ENOENT.
  if (!killed.ok() && (killed.error().sys_errno == ENODEV || killed.error().sys_errno == ENOENT)) {
    return {};
  }
  return killed;
}

Status write_limits(const sys::Cgroup& group, const std::vector<ControlWrite>& writes) {
  for (const ControlWrite& write : writes) {
    Status written = group.write(write.file, write.value);
    if (written.ok()) continue;
    Error& error = written.error();
    if (error.sys_errno == ENOENT) {
      if (write.may_be_missing) continue;
      // The file is what the machine lacks; the caller's container is not what was not found.
      error.code = Errc::failed_precondition;
    }
    // A CPU that does not exist: the number was wrong, not we.
    if (error.sys_errno == ERANGE) error.code = Errc::invalid_argument;
    return std::move(error);
  }
  return {};
}

Status enable_controllers(const sys::Cgroup& root, const std::string& path,
                          const std::vector<std::string>& controllers) {
  TRY(const std::string available_text, root.read("cgroup.controllers"));
  const std::vector<std::string> available = split_words(available_text);
  std::string wanted;
  for (const std::string& controller : controllers) {
    if (std::find(available.begin(), available.end(), controller) == available.end()) continue;
    wanted += (wanted.empty() ? "+" : " +") + controller;
  }
  if (wanted.empty()) return {};
  TRY_(root.write("cgroup.subtree_control", wanted));
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end == 0 ? 0 : end + 1);
    TRY(const sys::Cgroup group, sys::Cgroup::open(root.fd(), path.substr(0, end)));
    TRY_(group.write("cgroup.subtree_control", wanted));
  }
  return {};
}

Result<std::vector<std::string>> child_names(const sys::Cgroup& root, const std::string& path) {
  TRY(const sys::Cgroup group, sys::Cgroup::open_if_exists(root.fd(), path));
  if (!group.valid()) return std::vector<std::string>();
  return group.children();
}

Task<void> remove_when_empty(Ring& ring, std::function<Status()> attempt) {
  const Deadline end = Deadline::after_ms(kRemovalTimeMaxMs);
  int interval_ms = kRemovalIntervalFirstMs;
  auto work = [&attempt] { return attempt(); };
  while (true) {
    Status removed = co_await offload(ring, work).result();
    const bool busy = !removed.ok() && removed.error().is(Errc::failed_precondition);
    if (!busy || end.passed()) {
      co_await std::move(removed);
      co_return;
    }
    co_await ring.sleep_until(Deadline::earliest(end, Deadline::after_ms(interval_ms)));
    interval_ms = std::min(interval_ms * 2, kRemovalIntervalMaxMs);
  }
}

}  // namespace berth::plugins
