// SPDX-License-Identifier: Apache-2.0
// Operations on one mounted hierarchy that both plugins need. Paths are relative to `root`, the
// open mount point, and were checked by cgroup_path.h. System calls are made by the calling thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"
#include "core/task/task.h"
#include "plugins/resources/policy.h"

namespace berth {
class Ring;
}

namespace berth::plugins {

// mkdir with every missing part above. One that is there is fine.
Status make_cgroup(const sys::Cgroup& root, const std::string& path);
bool cgroup_exists(const sys::Cgroup& root, const std::string& path);
// rmdir of `path` and all below it. Absent: fine. failed_precondition: a process is still there.
Status remove_cgroup(const sys::Cgroup& root, const std::string& path);
// Gives a new v1 cpuset, and those above it, the CPUs and memory nodes of the group above where it
// has none.
Status fill_cpuset(const sys::Cgroup& root, const std::string& path);
// Kills what is in `path` and below. Absent: fine.
Status kill_cgroup(const sys::Cgroup& root, const std::string& path);
// Thaws `path` and the groups below it: a process that a v1 freezer stopped does not die of
// SIGKILL. Absent: fine.
Status thaw_cgroup(const sys::Cgroup& root, const std::string& path);
// Makes the writes in order; leaves out an optional one whose file is missing.
Status write_limits(const sys::Cgroup& group, const std::vector<ControlWrite>& writes);
// v2: "+cpu +memory" in the cgroup.subtree_control of the root and of every group down to `path`.
// A controller the root does not have is left out.
Status enable_controllers(const sys::Cgroup& root, const std::string& path,
                          const std::vector<std::string>& controllers);

// Names directly below `path`; none when it is absent.
Result<std::vector<std::string>> child_names(const sys::Cgroup& root, const std::string& path);

// `attempt` runs on an offload thread (rmdir of a memory cgroup can take milliseconds), again every
// few milliseconds while it answers failed_precondition, for at most two seconds: killed processes
// need a moment to end. Then that error.
Task<void> remove_when_empty(Ring& ring, std::function<Status()> attempt);

}  // namespace berth::plugins
