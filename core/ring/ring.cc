// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "core/ring/offload.h"

namespace berth {
namespace {

// The low bit of user_data tells a submission's completion from that of the request to cancel it.
constexpr std::uint64_t kCancelTag = 1;

std::uint64_t user_data_of(const Submission& submission) {
  return reinterpret_cast<std::uint64_t>(&submission);
}

class PostedClosure final : public PostNode {
 public:
  explicit PostedClosure(std::function<void()> closure) : closure_(std::move(closure)) {}
  void run() noexcept override {
    closure_();
    delete this;
  }
  void drop() noexcept override { delete this; }

 private:
  std::function<void()> closure_;
};

}  // namespace

// A multishot poll on the eventfd. It is edge-triggered: each write gives one completion and
// the counter is never read, so a wake-up costs the loop no submission.
class Ring::Wakeup final : public Submission {
 public:
  Wakeup(Ring& ring, int event_fd) : ring_(ring) {
    sqe_.opcode = IORING_OP_POLL_ADD;
    sqe_.fd = event_fd;
    sqe_.len = IORING_POLL_ADD_MULTI;
    sqe_.poll32_events = POLLIN;
    ring_.submit(*this);
  }

 private:
  void on_cqe(int, unsigned) noexcept override {}
  // The kernel ends a multishot when its completion queue overflows.
  void on_end() noexcept override { ring_.submit(*this); }

  Ring& ring_;
};

Result<std::unique_ptr<Ring>> Ring::create(Options options) {
  TRY(auto backend, LinuxBackend::create(RawRing::Options{options.entries, options.cq_entries}));
  return create(std::move(backend), options);
}

Result<std::unique_ptr<Ring>> Ring::create(std::unique_ptr<RingBackend> backend, Options options) {
  UniqueFd event_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_fd.valid()) return sys_error(errno, "eventfd");
  return std::unique_ptr<Ring>(
      new Ring(std::move(backend), std::move(event_fd), options.offload_threads));
}

Ring::Ring(std::unique_ptr<RingBackend> backend, UniqueFd event_fd, unsigned offload_threads)
    : backend_(std::move(backend)),
      event_fd_(std::move(event_fd)),
      thread_(std::this_thread::get_id()),
      offload_threads_(offload_threads) {
  wakeup_ = std::make_unique<Wakeup>(*this, event_fd_.get());
}

Ring::~Ring() {
  offload_.reset();
  inbox_.run_all();  // results of offload threads from the time of the join
  wakeup_->unlink();
  CHECK(pending_.empty() && ready_.empty());
  CHECK(counters_.in_kernel <= 1);
  backend_.reset();
  wakeup_->abandon();
}

void Ring::run() {
  while (!stopping_.load(std::memory_order_acquire)) turn(true);
  stopping_.store(false, std::memory_order_relaxed);
}

void Ring::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  wake();
}

// Resuming is last, so that a caller that checks after a turn whether a task has ended sees it
// before the loop waits again.
void Ring::turn(bool may_wait) {
  CHECK(std::this_thread::get_id() == thread_);
  fill_queue();
  submit_and_wait(may_wait);
  collect();
  if (!timers_.earliest().is_never()) timers_.fire(monotonic_now_ns());
  counters_.posts += inbox_.run_all();
  ready_.drain();
}

void Ring::wake() noexcept {
  const std::uint64_t one = 1;
  // Fails only when 2^64 - 2 wake-ups were never read, and then the loop is awake.
  static_cast<void>(!::write(event_fd_.get(), &one, sizeof one));
}

void Ring::post(PostNode& node) noexcept {
  if (inbox_.put(node)) wake();
}

void Ring::post(std::function<void()> closure) {
  post(*new PostedClosure(std::move(closure)));
}

OffloadPool& Ring::offload_pool() {
  if (offload_ == nullptr) offload_ = std::make_unique<OffloadPool>(*this, offload_threads_);
  return *offload_;
}

Ring::Counters Ring::counters() const noexcept {
  return counters_;
}

void Ring::submit(Submission& submission) noexcept {
  CHECK(submission.quiet());
  submission.state_ = Submission::State::queued;
  pending_.push_back(submission);
  ++counters_.queued;
}

// A race with three outcomes. (1) Not submitted yet: it never will be. (2) In the kernel: a cancel
// request follows it; the operation ends with ECANCELED, or with its own result if that was first,
// or runs on a kernel worker and ends when it ends (the request then says EALREADY). (3) Already
// completed: nothing to do.
void Ring::cancel(Submission& submission) noexcept {
  if (submission.state_ == Submission::State::queued) {
    submission.Link::unlink();
    --counters_.queued;
    submission.state_ = Submission::State::idle;
    submission.on_cqe(-ECANCELED, 0);
    submission.on_end();
  } else if (submission.state_ == Submission::State::in_kernel &&
             submission.cancel_ == Submission::Cancel::none) {
    submission.cancel_ = Submission::Cancel::queued;
    pending_.push_back(submission);
    ++counters_.queued;
  }
}

void Ring::fill_queue() noexcept {
  while (Submission* next = pending_.front()) {
    io_uring_sqe* sqe = backend_->get_sqe();
    if (sqe == nullptr) return;  // the kernel takes no more now; the next turn tries again
    next->Link::unlink();
    --counters_.queued;
    ++counters_.in_kernel;
    ++counters_.submitted;
    if (next->state_ == Submission::State::queued) {
      *sqe = next->sqe_;
      sqe->user_data = user_data_of(*next);
      next->state_ = Submission::State::in_kernel;
    } else {
      sqe->opcode = IORING_OP_ASYNC_CANCEL;
      sqe->fd = -1;
      sqe->addr = user_data_of(*next);
      sqe->user_data = user_data_of(*next) | kCancelTag;
      next->cancel_ = Submission::Cancel::in_kernel;
    }
  }
}

void Ring::submit_and_wait(bool may_wait) noexcept {
  const bool idle = ready_.empty() && inbox_.empty() && pending_.empty() &&
                    !stopping_.load(std::memory_order_acquire);
  const Deadline earliest = timers_.earliest();
  if (!may_wait || !idle || earliest.passed()) {
    static_cast<void>(backend_->submit_and_wait(0, -1));
    return;
  }
  const std::int64_t timeout_ns = earliest.is_never() ? -1 : earliest.remaining_ns();
  const int answer = backend_->submit_and_wait(1, timeout_ns);
  ++counters_.wakeups;
  // ETIME: a timer is due. EINTR: a signal. EBUSY: overflowed completions must be collected first.
  // EAGAIN, ENOMEM: the kernel is short of memory and took nothing. All of them: collect, try
  // again.
  CHECK(answer == 0 || answer == -ETIME || answer == -EINTR || answer == -EBUSY ||
        answer == -EAGAIN || answer == -ENOMEM);
}

// Collecting never resumes: a resumed task could submit, be cancelled, or free memory that a later
// completion of the same batch names, and every such chain would nest on this frame.
void Ring::collect() noexcept {
  Cqe cqe;
  while (backend_->next_cqe(cqe)) completed(cqe);
}

void Ring::completed(const Cqe& cqe) noexcept {
  auto& submission = *reinterpret_cast<Submission*>(cqe.user_data & ~kCancelTag);
  const bool of_cancel = (cqe.user_data & kCancelTag) != 0;
  const bool terminal = of_cancel || (cqe.flags & IORING_CQE_F_MORE) == 0;
  if (terminal) {
    CHECK(counters_.in_kernel > 0);
    --counters_.in_kernel;
    ++counters_.completed;
  }
  if (of_cancel) {
    CHECK(submission.cancel_ == Submission::Cancel::in_kernel);
    submission.cancel_ = Submission::Cancel::none;
  } else {
    CHECK(submission.state_ == Submission::State::in_kernel);
    if (terminal) submission.state_ = Submission::State::idle;
    if (terminal && submission.cancel_ == Submission::Cancel::queued) {
      submission.Link::unlink();
      submission.cancel_ = Submission::Cancel::none;
      --counters_.queued;
    }
    submission.on_cqe(cqe.res, cqe.flags);
  }
  if (terminal && submission.quiet()) submission.on_end();
}

}  // namespace berth
