// SPDX-License-Identifier: Apache-2.0
// RingBackend: the part of io_uring that Ring uses. Two implementations: LinuxBackend here, and the
// seeded FakeBackend of the tests (fake_backend.h), which injects rare behaviour of the kernel.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>

#include "core/base/result.h"
#include "core/ring/raw.h"

namespace berth {

struct Cqe {
  std::uint64_t user_data = 0;
  int res = 0;
  unsigned flags = 0;
};

// Called from one thread. The meaning of each call is RawRing's (raw.h).
class RingBackend {
 public:
  virtual ~RingBackend() = default;
  virtual io_uring_sqe* get_sqe() noexcept = 0;
  virtual int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept = 0;
  // One completion, taken off the queue; false when there is none.
  virtual bool next_cqe(Cqe& cqe) noexcept = 0;
  virtual bool has_opcode(unsigned opcode) const noexcept = 0;
  // For registering buffers; null where there is no kernel.
  virtual io_uring* uring() noexcept = 0;
};

class LinuxBackend final : public RingBackend {
 public:
  static Result<std::unique_ptr<LinuxBackend>> create(const RawRing::Options& options);

  io_uring_sqe* get_sqe() noexcept override { return raw_.get_sqe(); }
  int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept override {
    return raw_.submit_and_wait(wait_nr, timeout_ns);
  }
  bool next_cqe(Cqe& cqe) noexcept override;
  bool has_opcode(unsigned opcode) const noexcept override { return raw_.has_opcode(opcode); }
  io_uring* uring() noexcept override { return raw_.get(); }

 private:
  LinuxBackend() = default;
  RawRing raw_;
};

}  // namespace berth
