// SPDX-License-Identifier: Apache-2.0
// Identity and privileges of the process, read from inside the container.
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>

#include "core/linux/capability.h"
#include "core/linux/openat2.h"
#include "cri/spec/seccomp_default.h"
#include "plugins/native/seccomp_programs.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

native::SeccompProgram runtime_default(std::uint64_t capabilities) {
  const auto profile = std::make_shared<const oci::Seccomp>(cri::seccomp_default(capabilities));
  native::SeccompPrograms programs;
  return programs.program_of(profile).value();
}

std::string hex(std::uint64_t mask) {
  char text[17];
  std::snprintf(text, sizeof text, "%016lx", static_cast<unsigned long>(mask));
  return text;
}

std::string status_lines(LaunchContainer spec, const std::string& pattern) {
  spec.process.args = {"grep", "-E", pattern, "/proc/self/status"};
  return run(spec);
}

TEST(Identity, UserGroupsAndUmaskAreThePlans) {
  LaunchContainer spec = base_spec({});
  spec.process.user = {1000, 2000, {3000, 4000}, 0027};
  EXPECT_EQ(status_lines(spec, "^(Uid|Gid|Groups|Umask)"),
            "Umask:\t0027\nUid:\t1000\t1000\t1000\t1000\nGid:\t2000\t2000\t2000\t2000\n"
            "Groups:\t3000 4000 \n");
}

TEST(Identity, RootHasExactlyTheCapabilitiesOfThePlan) {
  const std::uint64_t caps = sys::capability_container_default();
  EXPECT_EQ(status_lines(base_spec({}), "^Cap"), "CapInh:\t" + hex(0) + "\nCapPrm:\t" + hex(caps) +
                                                     "\nCapEff:\t" + hex(caps) + "\nCapBnd:\t" +
                                                     hex(caps) + "\nCapAmb:\t" + hex(0) + "\n");
}

TEST(Identity, UserKeepsAmbientCapabilitiesOnly) {
  const std::uint64_t bind = sys::capability_bit(*sys::capability_from_name("NET_BIND_SERVICE"));
  LaunchContainer spec = base_spec({});
  spec.process.user.uid = 1000;
  EXPECT_NE(status_lines(spec, "^Cap").find("CapEff:\t" + hex(0)), std::string::npos);
  spec.process.capabilities.inheritable = bind;
  spec.process.capabilities.ambient = bind;
  const std::string text = status_lines(spec, "^Cap");
  EXPECT_NE(text.find("CapEff:\t" + hex(bind)), std::string::npos) << text;
  EXPECT_NE(text.find("CapAmb:\t" + hex(bind)), std::string::npos) << text;
}

TEST(Identity, CapabilitiesThatTheKeeperLacksAreLeftOut) {
  const std::uint64_t mine = sys::capability_permitted().value();
  LaunchContainer spec = base_spec({});
  const std::uint64_t all = ~std::uint64_t{0};
  spec.process.capabilities = {all, all, 0, all, 0};
  EXPECT_NE(status_lines(spec, "^Cap").find("CapEff:\t" + hex(mine)), std::string::npos);
}

TEST(Identity, NoNewPrivilegesAndFilterAreSeenInside) {
  LaunchContainer spec = base_spec({});
  spec.process.no_new_privileges = false;
  EXPECT_EQ(status_lines(spec, "^(NoNewPrivs|Seccomp):"), "NoNewPrivs:\t0\nSeccomp:\t0\n");
  const std::uint64_t caps = spec.process.capabilities.bounding;
  const native::SeccompProgram filter = runtime_default(caps);
  spec.seccomp = *filter;
  // A filter without no_new_privs is installed while the process still has CAP_SYS_ADMIN.
  EXPECT_EQ(status_lines(spec, "^(NoNewPrivs|Seccomp):"), "NoNewPrivs:\t0\nSeccomp:\t2\n");
  spec.process.no_new_privileges = true;
  spec.process.user.uid = 1000;
  EXPECT_EQ(status_lines(spec, "^(NoNewPrivs|Seccomp):"), "NoNewPrivs:\t1\nSeccomp:\t2\n");
}

TEST(Identity, RuntimeDefaultFilterRefusesMountAndNamespaces) {
  LaunchContainer spec =
      base_spec({"sh", "-c", "unshare -m true; mount -t tmpfs x /tmp; echo alive"});
  // The process has the capability, so only the filter can refuse.
  const std::uint64_t admin = sys::capability_bit(*sys::capability_from_name("SYS_ADMIN"));
  spec.process.capabilities.bounding |= admin;
  spec.process.capabilities.effective |= admin;
  spec.process.capabilities.permitted |= admin;
  EXPECT_EQ(run(spec), "alive\n");
  const std::uint64_t caps = sys::capability_container_default();
  const native::SeccompProgram filter = runtime_default(caps);
  spec.seccomp = *filter;
  const std::string text = run(spec);
  EXPECT_NE(text.find("unshare"), std::string::npos) << text;
  EXPECT_NE(text.find("Operation not permitted"), std::string::npos) << text;
  EXPECT_NE(text.find("alive"), std::string::npos) << text;
}

TEST(Identity, FilterThatTheKernelRefusesIsASeccompFailure) {
  LaunchContainer spec = base_spec({"true"});
  constexpr std::uint64_t kBroken[] = {0};
  spec.seccomp = kBroken;
  EXPECT_EQ(run(spec), "seccomp filter: EINVAL");
}

TEST(Identity, OomScoreIsRaisedAndAnImpossibleLoweringIsNoFailure) {
  LaunchContainer spec = base_spec({"cat", "/proc/self/oom_score_adj"});
  spec.process.oom_score_adj = 500;
  EXPECT_EQ(run(spec), "500\n");
  const std::string inherited = sys::read_small_file(AT_FDCWD, "/proc/self/oom_score_adj").value();
  spec.process.oom_score_adj = -900;
  const bool may_lower =
      (sys::capability_permitted().value() >> *sys::capability_from_name("SYS_RESOURCE") & 1) != 0;
  EXPECT_EQ(run(spec), may_lower ? "-900\n" : inherited);
}

TEST(Identity, LimitsAreSetAndClampedWhereRaisingIsRefused) {
  rlimit now{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
  LaunchContainer spec = base_spec({"grep", "open files", "/proc/self/limits"});
  spec.process.rlimits = {{RLIMIT_NOFILE, 100, 200}};
  EXPECT_EQ(run(spec),
            "Max open files            100                  200                  files     \n");
  spec.process.rlimits = {{RLIMIT_NOFILE, 50, now.rlim_max + 1000}};
  const std::string text = run(spec);
  EXPECT_EQ(text.find("Max open files            50"), 0U) << text;
}

TEST(Identity, LimitOfOpenFilesDoesNotKeepTheProgramFromBeingFound) {
  LaunchContainer spec = base_spec({"sh", "-c", "ulimit -Sn; ulimit -Hn"});
  spec.process.rlimits = {{RLIMIT_NOFILE, 3, 3}};
  EXPECT_EQ(run(spec), "3\n3\n");
}

TEST(Identity, SysctlsOfTheContainersNamespacesAreWritten) {
  LaunchContainer spec = base_spec(
      {"cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shm_rmid_forced"});
  spec.sysctl = {{"net/ipv4/ip_unprivileged_port_start", "80"}, {"kernel/shm_rmid_forced", "1"}};
  EXPECT_EQ(run(spec), "80\n1\n");
  spec.sysctl = {{"net/ipv4/no_such_setting", "1"}};
  EXPECT_EQ(run(spec), "sysctl net/ipv4/no_such_setting: ENOENT");
}

// Before the exec the process is not dumpable, so that no other process reads the keeper's memory.
// The exec makes it dumpable again.
TEST(Identity, AfterTheExecAProcessCanBeReadLikeAnyOther) {
  EXPECT_EQ(run_shell("readlink /proc/1/exe"), "/bin/busybox\n");
}

}  // namespace
}  // namespace berth::container::testing
