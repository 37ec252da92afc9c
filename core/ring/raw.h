// SPDX-License-Identifier: Apache-2.0
// RawRing owns one io_uring and nothing else: no coroutines, no callbacks that need memory, no heap
// after init. The keeper uses it as it is; Ring builds on it through LinuxBackend (ring_backend.h).
//
// Order of calls: init once, on the thread that will submit (the kernel refuses every other thread,
// IORING_SETUP_SINGLE_ISSUER); then get_sqe, submit_and_wait, for_each_cqe, from that thread only.
#pragma once

#include <liburing.h>
#include <sys/wait.h>

#include <cstdint>

#include "core/base/result.h"

namespace berth {

class RawRing {
 public:
  struct Options {
    unsigned entries = 256;      // submissions that can be queued before a system call is needed
    unsigned cq_entries = 1024;  // completions that can wait; more go to the kernel's overflow list
  };

  RawRing() = default;
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;
  ~RawRing();

  // Errors are start-up advice: they name the sysctl, the seccomp filter, or the missing operation
  // with the kernel version that added it. Marks the ring's memory as not inherited by fork.
  Status init(const Options& options);

  // A zeroed entry to fill; submits when the queue is full. Null only if the kernel takes nothing
  // (out of memory, or its overflow list must be collected first): call for_each_cqe and try again.
  io_uring_sqe* get_sqe() noexcept;
  // Submits what is queued and waits until `wait_nr` completions are there, or `timeout_ns` is over
  // (negative: no limit). 0, or -errno: -ETIME for the timeout, -EINTR for a signal, -EBUSY when
  // completions must be collected first, -EAGAIN when the kernel is out of memory. Also collects
  // what the kernel deferred when wait_nr is 0.
  int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns = -1) noexcept;
  // Calls take(user_data, res, flags) for each completion now there; gives their number. The entry
  // is given back to the kernel before the call, so `take` may queue new submissions.
  template <typename Take>
  unsigned for_each_cqe(Take&& take) noexcept {
    unsigned taken = 0;
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0 && cqe != nullptr) {
      const io_uring_cqe copy = *cqe;
      io_uring_cqe_seen(&ring_, cqe);
      take(copy.user_data, copy.res, copy.flags);
      ++taken;
    }
    return taken;
  }

  // True if the running kernel knows the opcode.
  bool has_opcode(unsigned opcode) const noexcept {
    return opcode < kOpcodes && (opcodes_[opcode / 64] >> (opcode % 64) & 1) != 0;
  }
  io_uring* get() noexcept { return &ring_; }

 private:
  static constexpr unsigned kOpcodes = 128;

  Status set_up(const Options& options);
  Status probe();

  io_uring ring_{};
  std::uint64_t opcodes_[kOpcodes / 64]{};
  bool open_ = false;
};

// Added in Linux 6.7; the headers of Debian 12 are older.
inline constexpr std::uint8_t kOpWaitid = 50;

// IORING_OP_WAITID: `info` receives what waitid(2) would. For opcode 50 only: check has_opcode.
void prep_waitid(io_uring_sqe& sqe, idtype_t type, id_t id, siginfo_t* info, int options) noexcept;

// Why io_uring_setup failed, as advice. Also used where the message is tested.
Error ring_setup_error(int sys_errno);

}  // namespace berth
