// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "cri/cli/doctor/check.h"

namespace berth::cli {

namespace {

constexpr rlim_t kDescriptorsWanted = 65'536;

struct NeededCapability {
  int number;
  const char* name;
  Health missing;
  const char* consequence;
};

constexpr std::array<NeededCapability, 8> kNeeded = {{
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", Health::fail, "no mount and no namespace can be made"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", Health::fail, "no pod network can be set up"},
    {CAP_SETUID, "CAP_SETUID", Health::fail, "containers cannot change user"},
    {CAP_CHOWN, "CAP_CHOWN", Health::fail, "image layers cannot be unpacked"},
    {CAP_MKNOD, "CAP_MKNOD", Health::warn, "devices in layers and /dev nodes fail"},
    {CAP_BPF, "CAP_BPF", Health::warn, "the eBPF network cannot be loaded"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", Health::warn, "exec into other users' processes may fail"},
    {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", Health::warn,
     "lower oom_score_adj and higher rlimits are clamped to what this process has"},
}};

std::uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:")) return std::strtoull(line.c_str() + 7, nullptr, 16);
  }
  return 0;
}

void check_capabilities(HostChecks* checks) {
  const std::uint64_t effective = effective_capabilities();
  bool all = true;
  for (const NeededCapability& need : kNeeded) {
    if ((effective >> need.number & 1) != 0) continue;
    all = false;
    checks->push_back({need.missing, std::string(need.name) + " missing: " + need.consequence,
                       std::string("start the agent with ") + need.name +
                           " (in a container: --cap-add; systemd: CapabilityBoundingSet)"});
  }
  if (all) checks->push_back({Health::ok, "all needed capabilities", ""});
}

void check_descriptors(HostChecks* checks) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string what = limit.rlim_max == RLIM_INFINITY
                               ? "open files: no limit"
                               : fmt::format("open files: at most {}", limit.rlim_max);
  if (limit.rlim_max >= kDescriptorsWanted) {
    checks->push_back({Health::ok, what, ""});
  } else {
    checks->push_back({Health::warn, what + ", a pod takes about ten",
                       fmt::format("LimitNOFILE={} in the agent's unit", kDescriptorsWanted)});
  }
}

void check_user_namespaces(HostChecks* checks) {
  const std::string most = read_small_file("/proc/sys/user/max_user_namespaces");
  const bool exist = ::access("/proc/self/ns/user", F_OK) == 0;
  if (exist && !most.empty() && most != "0") {
    checks->push_back({Health::ok, "user namespaces: at most " + most, ""});
  } else {
    checks->push_back(
        {Health::warn, "no user namespaces: pods with hostUsers=false will fail",
         exist ? "sysctl user.max_user_namespaces=15000" : "a kernel with CONFIG_USER_NS"});
  }
}

}  // namespace

std::string read_small_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string content = text.str();
  while (!content.empty() && (content.back() == '\n' || content.back() == ' ')) content.pop_back();
  return content;
}

void check_privilege(HostChecks* checks) {
  if (::geteuid() == 0) {
    checks->push_back({Health::ok, "running as root", ""});
  } else {
    checks->push_back({Health::warn, "not root: some checks below cannot look",
                       "run doctor as root; the agent itself needs it"});
  }
  check_capabilities(checks);
  check_descriptors(checks);
  check_user_namespaces(checks);
}

}  // namespace berth::cli
