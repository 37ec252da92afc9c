// SPDX-License-Identifier: Apache-2.0
#include "core/linux/signals.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace berth::sys {

// Uses the system call, because sigaction of glibc refuses two signal numbers.
void default_all_signals() noexcept {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    std::uint64_t mask;
  } const action{SIG_DFL, 0, nullptr, 0};
  for (int number = 1; number <= 64; ++number) {
    ::syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
  }
}

}  // namespace berth::sys
