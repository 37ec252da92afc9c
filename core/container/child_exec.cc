// SPDX-License-Identifier: Apache-2.0
// Identity and privileges of the process, and the exec. System calls are raw: glibc's setters would
// signal other threads, and there are none.
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/container/child.h"

namespace berth::container {
namespace {

constexpr int kCapabilities = 64;
constexpr char kMagicLink[] = " leads through a link of /proc";
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct CapabilitySets {
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
  std::uint64_t inheritable = 0;
};

int get_capabilities(CapabilitySets* sets) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return -1;
  sets->effective = std::uint64_t{data[1].effective} << 32 | data[0].effective;
  sets->permitted = std::uint64_t{data[1].permitted} << 32 | data[0].permitted;
  sets->inheritable = std::uint64_t{data[1].inheritable} << 32 | data[0].inheritable;
  return 0;
}

int set_capabilities(const CapabilitySets& sets) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (int word = 0; word < 2; ++word) {
    data[word].effective = static_cast<std::uint32_t>(sets.effective >> (32 * word));
    data[word].permitted = static_cast<std::uint32_t>(sets.permitted >> (32 * word));
    data[word].inheritable = static_cast<std::uint32_t>(sets.inheritable >> (32 * word));
  }
  return static_cast<int>(::syscall(SYS_capset, &header, data));
}

void drop_bounding(Child& child, std::uint64_t keep) noexcept {
  for (int number = 0; number < kCapabilities; ++number) {
    if ((keep >> number & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return;  // beyond the last capability of this kernel
    fail(child, "bounding set");
  }
}

// Comes last, because it drops capabilities that earlier steps need. A capability that the keeper
// lacks cannot be given and is left out.
void set_final_capabilities(Child& child) noexcept {
  CapabilitySets mine;
  if (get_capabilities(&mine) != 0) fail(child, "capget");
  const PlanCapabilities& wanted = child.plan->header().capabilities;
  CapabilitySets sets;
  sets.permitted = wanted.permitted & mine.permitted;
  sets.effective = wanted.effective & sets.permitted;
  sets.inheritable = wanted.inheritable & mine.permitted;
  if (set_capabilities(sets) != 0) fail(child, "capset");
  const std::uint64_t ambient = wanted.ambient & sets.permitted & sets.inheritable;
  if (ambient == 0) return;
  for (int number = 0; number < kCapabilities; ++number) {
    if ((ambient >> number & 1) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) {
      fail(child, "ambient capabilities");
    }
  }
}

void install_filter(Child& child) noexcept {
  const auto instructions = child.plan->seccomp();
  if (instructions.empty()) return;
  child.step = Step::seccomp;
  sock_fprog program{};
  program.len = static_cast<unsigned short>(instructions.size());
  program.filter =
      const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(instructions.data()));
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) fail(child, "filter");
}

// argv and envp in memory of their own: pointers into the plan, each list ended by a null.
char** make_vectors(Child& child, char*** environment) noexcept {
  const auto args = child.plan->texts(child.plan->header().args);
  const auto env = child.plan->texts(child.plan->header().env);
  const size_t size = (args.size() + env.size() + 2) * sizeof(char*);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail(child, "mmap");
  auto** const argv = static_cast<char**>(memory);
  char** at = argv;
  for (const PlanRef& arg : args) *at++ = const_cast<char*>(child.plan->text(arg));
  *at++ = nullptr;
  *environment = at;
  for (const PlanRef& entry : env) *at++ = const_cast<char*>(child.plan->text(entry));
  *at = nullptr;
  return argv;
}

const char* find_path(char* const* environment) noexcept {
  for (; *environment != nullptr; ++environment) {
    if (::strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
  }
  return kDefaultPath;
}

// The capabilities that the last steps need: the sets of the plan, and CAP_SYS_ADMIN for a filter
// without no_new_privs (seccomp(2)).
CapabilitySets needed_capabilities(const PlanView& plan, std::uint64_t permitted) noexcept {
  const PlanCapabilities& wanted = plan.header().capabilities;
  CapabilitySets sets;
  sets.permitted = wanted.permitted | wanted.inheritable;
  if (!plan.has(kPlanNoNewPrivileges) && !plan.seccomp().empty()) {
    sets.permitted |= std::uint64_t{1} << CAP_SYS_ADMIN;
  }
  sets.permitted &= permitted;
  sets.effective = sets.permitted;
  return sets;
}

[[noreturn]] void refuse_program(Child& child, const char* name) noexcept {
  if (errno != ELOOP) fail(child, name);
  Report told;
  char text[sizeof told.detail];
  const size_t length = ::strnlen(name, sizeof text - sizeof kMagicLink);
  ::memcpy(text, name, length);
  ::memcpy(text + length, kMagicLink, sizeof kMagicLink);
  fail(child, text);
}

}  // namespace

void set_identity(Child& child) noexcept {
  child.step = Step::identity;
  const PlanHeader& header = child.plan->header();
  ::umask(child.plan->has(kPlanHasUmask) ? header.umask : 022);
  drop_bounding(child, header.capabilities.bounding);
  const auto groups = child.plan->groups();
  if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0) fail(child, "groups");
  // A change of the ids from 0 drops the capabilities, and the last steps still need some.
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail(child, "keep capabilities");
  if (::syscall(SYS_setresgid, header.gid, header.gid, header.gid) != 0) fail(child, "gid");
  if (::syscall(SYS_setresuid, header.uid, header.uid, header.uid) != 0) fail(child, "uid");
  CapabilitySets mine;
  if (get_capabilities(&mine) != 0) fail(child, "capget");
  const CapabilitySets needed = needed_capabilities(*child.plan, mine.permitted);
  if (set_capabilities(needed) != 0) fail(child, "capset");
}

void filter_and_exec(Child& child) noexcept {
  char** environment = nullptr;
  char** const argv = make_vectors(child, &environment);
  if (child.plan->has(kPlanNoNewPrivileges) && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    fail(child, "no_new_privs");
  }
  child.step = Step::exec;
  char buffer[PATH_MAX];
  const char* const program = find_program(argv[0], find_path(environment), buffer, sizeof buffer);
  if (program == nullptr) refuse_program(child, argv[0]);
  set_late_rlimits(child);
  child.step = Step::exec;
  mark(child, kStageReady);
  child.step = Step::exec;
  report(child, ReportKind::ready, 0, "");
  // Without no_new_privs the filter needs CAP_SYS_ADMIN, so it is installed before the capabilities
  // are dropped and must allow capset and prctl. With no_new_privs it is installed right before the
  // exec.
  if (!child.plan->has(kPlanNoNewPrivileges)) install_filter(child);
  child.step = Step::identity;
  set_final_capabilities(child);
  if (child.plan->has(kPlanNoNewPrivileges)) install_filter(child);
  child.step = Step::exec;
  ::execve(program, argv, environment);
  fail(child, argv[0]);
}

}  // namespace berth::container
