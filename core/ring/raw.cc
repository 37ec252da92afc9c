// SPDX-License-Identifier: Apache-2.0
#include "core/ring/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/unique_fd.h"
#include "core/ring/probe.h"

namespace berth {
namespace {

// 6.1: one submitting thread, completions collected only when it asks. Older kernels refuse a flag
// they do not know with EINVAL and get the plain ring.
constexpr unsigned kBestFlags =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
constexpr unsigned kPlainFlags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

// '0', '1', '2', or 'x' where the sysctl does not exist (before 6.6) or cannot be read.
char io_uring_disabled_sysctl() {
  UniqueFd fd(::open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC));
  char digit = 'x';
  if (!fd.valid() || ::read(fd.get(), &digit, 1) != 1) return 'x';
  return digit;
}

}  // namespace

Error ring_setup_error(int sys_errno) {
  Error error = sys_error(sys_errno, "io_uring_setup");
  const char sysctl = io_uring_disabled_sysctl();
  if (sys_errno == EPERM && sysctl == '2') {
    error.subject = "kernel.io_uring_disabled is 2: run `sysctl kernel.io_uring_disabled=0`";
  } else if (sys_errno == EPERM && sysctl == '1') {
    error.subject =
        "kernel.io_uring_disabled is 1 and this process lacks CAP_SYS_ADMIN: run as root or set "
        "kernel.io_uring_group";
  } else if (sys_errno == EPERM) {
    error.subject =
        "refused though kernel.io_uring_disabled allows it: a seccomp filter around this process "
        "blocks io_uring";
  } else if (sys_errno == ENOSYS) {
    error.subject =
        "the kernel was built without CONFIG_IO_URING, or a seccomp filter around this process "
        "hides it (berth needs Linux 6.1)";
  } else if (sys_errno == ENOMEM) {
    error.subject = "not enough memory for the ring: look at RLIMIT_MEMLOCK and memory.max";
  }
  error.code = sys_errno == ENOMEM ? Errc::resource_exhausted : Errc::failed_precondition;
  return error;
}

RawRing::~RawRing() {
  if (open_) io_uring_queue_exit(&ring_);
}

Status RawRing::init(const Options& options) {
  CHECK(!open_);
  TRY_(set_up(options));
  return probe();
}

Status RawRing::set_up(const Options& options) {
  io_uring_params params{};
  int failed = 0;
  for (unsigned flags : {kBestFlags, kPlainFlags, 0U}) {
    params = {};
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = options.cq_entries;
    failed = io_uring_queue_init_params(options.entries, &ring_, &params);
    if (failed != -EINVAL) break;
  }
  if (failed < 0) return ring_setup_error(-failed);
  open_ = true;
  // Without this a forked child shares the queues' pages and can corrupt them.
  io_uring_ring_dontfork(&ring_);
  // Saves an fd lookup per system call; a kernel without it goes on as before.
  static_cast<void>(io_uring_register_ring_fd(&ring_));
  return {};
}

Status RawRing::probe() {
  TRY_(check_features(ring_.features));
  io_uring_probe* answer = io_uring_get_probe_ring(&ring_);
  if (answer == nullptr) return sys_error(ENOMEM, "io_uring_register", "IORING_REGISTER_PROBE");
  for (unsigned i = 0; i < answer->ops_len && i < kOpcodes; ++i) {
    if ((answer->ops[i].flags & IO_URING_OP_SUPPORTED) != 0) {
      opcodes_[answer->ops[i].op / 64] |= std::uint64_t{1} << (answer->ops[i].op % 64);
    }
  }
  io_uring_free_probe(answer);
  return check_opcodes(*this);
}

io_uring_sqe* RawRing::get_sqe() noexcept {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    if (io_uring_submit(&ring_) < 0) return nullptr;
    sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return nullptr;
  }
  *sqe = {};
  return sqe;
}

int RawRing::submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept {
  int answer = 0;
  if (wait_nr == 0) {
    answer = io_uring_submit_and_get_events(&ring_);
  } else if (timeout_ns < 0) {
    answer = io_uring_submit_and_wait(&ring_, wait_nr);
  } else {
    __kernel_timespec limit{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    answer = io_uring_submit_and_wait_timeout(&ring_, &first, wait_nr, &limit, nullptr);
  }
  return answer < 0 ? answer : 0;
}

void prep_waitid(io_uring_sqe& sqe, idtype_t type, id_t id, siginfo_t* info, int options) noexcept {
  sqe = {};
  sqe.opcode = kOpWaitid;
  sqe.fd = static_cast<int>(id);
  sqe.len = static_cast<unsigned>(type);
  sqe.file_index = static_cast<unsigned>(options);
  sqe.addr2 = reinterpret_cast<std::uint64_t>(info);
}

}  // namespace berth
