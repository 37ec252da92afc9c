// SPDX-License-Identifier: Apache-2.0
// FACT: BPF_PROG_LOAD fails with EAGAIN, not with EINTR, when a signal arrives while the verifier
// works, so SA_RESTART does not help: the caller tries again.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "core/base/units.h"

namespace berth {
namespace {

// A long program of moves; the verifier visits each.
std::vector<bpf_insn> long_program() {
  std::vector<bpf_insn> program;
  bpf_insn move{};
  move.code = BPF_ALU64 | BPF_MOV | BPF_K;
  move.dst_reg = BPF_REG_0;
  for (int i = 0; i < 100'000; ++i) program.push_back(move);
  bpf_insn leave{};
  leave.code = BPF_JMP | BPF_EXIT;
  program.push_back(leave);
  return program;
}

TEST(BpfLoad, IsEagainWhenASignalArrives) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  struct sigaction before {};
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  const std::vector<bpf_insn> program = long_program();
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  const itimerval often{{0, 500}, {0, 500}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  int error = 0;
  constexpr std::int64_t kPatienceNs = 20 * kNanosecondsPerSecond;
  const std::int64_t end = monotonic_now_ns() + kPatienceNs;
  while (monotonic_now_ns() < end) {
    const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
    error = fd < 0 ? errno : 0;
    if (fd >= 0) ::close(static_cast<int>(fd));
    if (error != 0) break;
  }
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  EXPECT_EQ(error, EAGAIN) << "no signal arrived during the verification";
}

}  // namespace
}  // namespace berth
