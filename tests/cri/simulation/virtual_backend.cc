// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/virtual_backend.h"

#include <errno.h>

#include "tests/cri/simulation/virtual_clock.h"

namespace berth::simulation {

void VirtualBackend::collect() noexcept {
  Cqe cqe;
  while (kernel_.next_cqe(cqe)) cqes_.push_back(cqe);
}

int VirtualBackend::submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept {
  const int answer = kernel_.submit_and_wait(0, 0);
  collect();
  if (answer != 0 || wait_nr == 0 || !cqes_.empty()) return answer;
  if (timeout_ns >= 0) {
    advance_virtual_time(timeout_ns);
    return -ETIME;
  }
  stalled_ = true;
  return -EINTR;
}

bool VirtualBackend::next_cqe(Cqe& cqe) noexcept {
  if (cqes_.empty()) return false;
  cqe = cqes_.front();
  cqes_.pop_front();
  return true;
}

}  // namespace berth::simulation
