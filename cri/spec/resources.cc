// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/resources.h"

#include <utility>

#include "cri/field.h"
#include "cri/spec/devices.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// The CRI and the plugins say 0 for a value that is not set.
template <typename T, typename From>
std::optional<T> value_if_set(From value) {
  if (value == 0) return std::nullopt;
  return static_cast<T>(value);
}

std::string number_or_any(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "*";
}

}  // namespace

Result<plugins::Resources> resources_of(const std::string& field,
                                        const v1::LinuxContainerResources& from) {
  const auto at_least = [&field](const char* name, std::int64_t value,
                                 std::int64_t least) -> Status {
    if (value >= least) return {};
    return invalid_field(field + "." + name, "is " + std::to_string(value));
  };
  TRY_(at_least("cpu_period", from.cpu_period(), 0));
  TRY_(at_least("cpu_quota", from.cpu_quota(), -1));
  TRY_(at_least("cpu_shares", from.cpu_shares(), 0));
  TRY_(at_least("memory_limit_in_bytes", from.memory_limit_in_bytes(), -1));
  TRY_(at_least("memory_swap_limit_in_bytes", from.memory_swap_limit_in_bytes(), -1));
  if (from.oom_score_adj() < -1000 || from.oom_score_adj() > 1000) {
    return invalid_field(field + ".oom_score_adj", "must be -1000..1000");
  }
  TRY_(check_name_if_set(field + ".cpuset_cpus", from.cpuset_cpus()));
  TRY_(check_name_if_set(field + ".cpuset_mems", from.cpuset_mems()));
  plugins::Resources to;
  to.cpu_period = from.cpu_period();
  to.cpu_quota = from.cpu_quota();
  to.cpu_shares = from.cpu_shares();
  to.memory_limit_in_bytes = from.memory_limit_in_bytes();
  to.memory_swap_limit_in_bytes = from.memory_swap_limit_in_bytes();
  to.cpuset_cpus = from.cpuset_cpus();
  to.cpuset_mems = from.cpuset_mems();
  for (const v1::HugepageLimit& limit : from.hugepage_limits()) {
    TRY_(check_name(field + ".hugepage_limits.page_size", limit.page_size()));
    to.hugepage_limits[limit.page_size()] = limit.limit();
  }
  for (const auto& [file, value] : from.unified()) {
    TRY_(check_name(field + ".unified", file));
    if (file.find('/') != std::string::npos) {
      return invalid_field(field + ".unified", "`" + shown(file) + "` is no control file");
    }
    to.unified[file] = value;
  }
  return to;
}

oci::Resources oci_resources(const plugins::Resources& from) {
  oci::Resources to;
  to.memory.limit = value_if_set<std::int64_t>(from.memory_limit_in_bytes);
  to.memory.swap = value_if_set<std::int64_t>(from.memory_swap_limit_in_bytes);
  to.cpu.shares = value_if_set<std::uint64_t>(from.cpu_shares);
  to.cpu.quota = value_if_set<std::int64_t>(from.cpu_quota);
  to.cpu.period = value_if_set<std::uint64_t>(from.cpu_period);
  to.cpu.cpus = from.cpuset_cpus;
  to.cpu.mems = from.cpuset_mems;
  to.pids_limit = value_if_set<std::int64_t>(from.pids_limit);
  for (const auto& [page_size, limit] : from.hugepage_limits) {
    to.hugepage_limits.push_back({page_size, limit});
  }
  to.unified = from.unified;
  return to;
}

plugins::ContainerCgroup cgroup_of(const oci::Resources& from) {
  plugins::ContainerCgroup cgroup;
  plugins::Resources& to = cgroup.resources;
  to.memory_limit_in_bytes = from.memory.limit.value_or(0);
  to.memory_swap_limit_in_bytes = from.memory.swap.value_or(0);
  to.cpu_shares = static_cast<std::int64_t>(from.cpu.shares.value_or(0));
  to.cpu_quota = from.cpu.quota.value_or(0);
  to.cpu_period = static_cast<std::int64_t>(from.cpu.period.value_or(0));
  to.cpuset_cpus = from.cpu.cpus;
  to.cpuset_mems = from.cpu.mems;
  to.pids_limit = from.pids_limit.value_or(0);
  for (const oci::HugepageLimit& limit : from.hugepage_limits) {
    to.hugepage_limits[limit.page_size] = limit.limit;
  }
  to.unified = from.unified;
  for (const oci::DeviceRule& rule : from.devices) {
    if (rule.type == 'a') {
      cgroup.privileged = rule.allow;
    } else if (rule.allow && !is_default_rule(rule)) {
      cgroup.devices.push_back(std::string(1, rule.type) + " " + number_or_any(rule.major) + ":" +
                               number_or_any(rule.minor) + " " + rule.access);
    }
  }
  return cgroup;
}

}  // namespace berth::cri
