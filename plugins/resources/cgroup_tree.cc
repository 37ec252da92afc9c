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

// The directories from `path` down to the one that is being emptied. One descriptor and no
// recursion, because a container that may make groups chooses how deep they are.
Status remove_cgroup(const sys::Cgroup& root, const std::string& path) {
  struct Level {
    std::string name;                 // in the level above
    std::vector<std::string> inside;  // still to be removed
  };
  if (::unlinkat(root.fd(), path.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  const auto error = [&](const std::string& name) {
    return sys_error(errno, "rmdir",
                     root.name() + "/" + path + (name.empty() ? "" : "/.../") + name);
  };
  if (errno != EBUSY) return error({});
  TRY(sys::Cgroup at, sys::Cgroup::open_if_exists(root.fd(), path));
  if (!at.valid()) return {};
  std::vector<Level> levels(1);
  TRY(levels.back().inside, at.children());
  while (true) {
    if (levels.back().inside.empty()) {
      const std::string name = std::move(levels.back().name);
      levels.pop_back();
      if (levels.empty()) break;
      TRY(at, sys::Cgroup::open(at.fd(), ".."));
      if (::unlinkat(at.fd(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return error(name);
      }
      continue;
    }
    std::string name = std::move(levels.back().inside.back());
    levels.back().inside.pop_back();
    if (::unlinkat(at.fd(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) continue;
    if (errno != EBUSY) return error(name);
    TRY(sys::Cgroup below, sys::Cgroup::open_if_exists(at.fd(), name));
    if (!below.valid()) continue;
    at = std::move(below);
    levels.push_back({.name = std::move(name), .inside = {}});
    TRY(levels.back().inside, at.children());
  }
  if (::unlinkat(root.fd(), path.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return error({});
}

// KERNEL: a new v1 cpuset has no CPU and no memory node, and no process can enter it (ENOSPC)
// before it has both. With cgroup.clone_children above it has its parent's from the start, both at
// once, unless a sibling is exclusive. So each level takes its parent's where it has none.
Status fill_cpuset(const sys::Cgroup& root, const std::string& path) {
  TRY(const sys::Cgroup group, sys::Cgroup::open(root.fd(), path));
  TRY(const std::string present, group.read("cpuset.mems"));
  if (!present.empty() && present != "\n") return {};
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == std::string::npos ? std::string(".") : path.substr(0, slash);
  if (above != ".") TRY_(fill_cpuset(root, above));
  TRY(const sys::Cgroup parent, sys::Cgroup::open(root.fd(), above));
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    TRY(const std::string inherited, parent.read(file));
    TRY_(group.write(file, inherited));
  }
  return {};
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

Status thaw_cgroup(const sys::Cgroup& root, const std::string& path) {
  TRY(sys::Cgroup at, sys::Cgroup::open_if_exists(root.fd(), path));
  if (!at.valid()) return {};
  const auto thaw = [&at] { static_cast<void>(at.write("freezer.state", "THAWED")); };
  // As in remove_cgroup.
  std::vector<std::vector<std::string>> levels(1);
  thaw();
  TRY(levels.back(), at.children());
  while (true) {
    if (levels.back().empty()) {
      levels.pop_back();
      if (levels.empty()) return {};
      TRY(at, sys::Cgroup::open(at.fd(), ".."));
      continue;
    }
    const std::string name = std::move(levels.back().back());
    levels.back().pop_back();
    TRY(sys::Cgroup below, sys::Cgroup::open_if_exists(at.fd(), name));
    if (!below.valid()) continue;
    at = std::move(below);
    thaw();
    levels.emplace_back();
    TRY(levels.back(), at.children());
  }
}

Status write_limits(const sys::Cgroup& group, const std::vector<ControlWrite>& writes) {
  for (const ControlWrite& write : writes) {
    Status written = group.write(write.file, write.value);
    if (written.ok()) continue;
    Error& error = written.error();
    if (error.sys_errno == ENOENT) {
      if (write.may_be_missing) continue;
      // The machine lacks the control file. ENOENT must not read as "no such container".
      error.code = Errc::failed_precondition;
    }
    // A CPU that does not exist: an error of the request.
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
