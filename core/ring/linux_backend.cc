// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_backend.h"

namespace berth {

Result<std::unique_ptr<LinuxBackend>> LinuxBackend::create(const RawRing::Options& options) {
  std::unique_ptr<LinuxBackend> backend(new LinuxBackend());
  TRY_(backend->raw_.init(options));
  return backend;
}

bool LinuxBackend::next_cqe(Cqe& cqe) noexcept {
  io_uring_cqe* entry = nullptr;
  if (io_uring_peek_cqe(raw_.get(), &entry) != 0 || entry == nullptr) return false;
  cqe = Cqe{entry->user_data, entry->res, entry->flags};
  io_uring_cqe_seen(raw_.get(), entry);
  return true;
}

}  // namespace berth
