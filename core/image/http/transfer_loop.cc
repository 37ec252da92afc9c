// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/transfer_loop.h"

#include <algorithm>

#include "core/base/units.h"

namespace berth::image {
namespace {

constexpr std::size_t kIdleMax = 8;
constexpr std::int64_t kLookMs = 500;

}  // namespace

Status TransferLoop::start() {
  TRY(thread_, RingThread::start("berth-http", *this));
  return {};
}

TransferLoop::Watchdog::Watchdog(TransferLoop& loop)
    : ReadyNode(
          [](ReadyNode& node) noexcept { static_cast<Watchdog&>(node).loop_.end_slow_ones(); }),
      loop_(loop) {}

void TransferLoop::Watchdog::start() {
  drop();
  started_ns_ = monotonic_now_ns();
  set(loop_.ring_->timers(), Deadline::after_ms(kLookMs));
}

void TransferLoop::Watchdog::on_time() noexcept {
  loop_.ring_->ready().push(*this);
}

// Bytes that did not arrive while this thread was busy, or while a paused transfer stalled its
// connection, are not the peer's fault.
void TransferLoop::end_slow_ones() {
  const std::int64_t now_ns = monotonic_now_ns();
  const std::int64_t away_ns = now_ns - watchdog_->started_ns();
  const bool paused = std::any_of(running_.begin(), running_.end(), [](const auto& entry) {
    return entry.second.transfer->paused();
  });
  const bool excused = paused || away_ns > 2 * kLookMs * kNanosecondsPerMillisecond;
  std::vector<std::uint64_t> slow;
  for (auto& [id, running] : running_) {
    if (running.transfer->too_slow(now_ns, excused)) slow.push_back(id);
  }
  for (const std::uint64_t id : slow) end(id, CURLE_OPERATION_TIMEDOUT, false);
  if (!running_.empty()) watchdog_->start();
}

void TransferLoop::made(Ring& ring) {
  ring_ = &ring;
  watchdog_.emplace(*this);
  multi_.emplace(ring, [this](CURL* easy, CURLcode code) { end(ids_.at(easy), code, false); });
}

void TransferLoop::ending(Ring& ring) {
  CHECK(running_.empty());
  multi_->close();
  while (!multi_->quiet()) ring.turn(true);
  multi_.reset();
  watchdog_.reset();
  idle_.clear();
}

void TransferLoop::begin(HttpCall& call, std::function<void()> ended) {
  ring_->post(
      [this, &call, ended = std::move(ended)]() mutable { begin_now(call, std::move(ended)); });
}

void TransferLoop::begin_now(HttpCall& call, std::function<void()> ended) {
  const std::uint64_t id = ++last_id_;
  call.id = id;
  Running& running = running_[id];
  if (idle_.empty()) {
    running.handle = std::make_unique<CurlHandle>();
  } else {
    running.handle = std::move(idle_.back());
    idle_.pop_back();
  }
  running.call = &call;
  running.ended = std::move(ended);
  running.transfer.emplace(*running.handle, call.request, *call.sink, user_agent_);
  ids_[running.handle->get()] = id;
  // A resume may come after the transfer has ended: then no transfer has this id.
  call.sink->attach([this, id] { ring_->post([this, id] { unpause(id); }); });
  if (running_.size() == 1) watchdog_->start();
  multi_->add(running.handle->get());
}

void TransferLoop::cancel(HttpCall& call, std::function<void()> heard) {
  ring_->post([this, &call, heard = std::move(heard)] {
    if (running_.contains(call.id)) end(call.id, CURLE_OK, true);
    heard();
  });
}

void TransferLoop::unpause(std::uint64_t id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const CURLcode code = found->second.transfer->unpause();
  if (code != CURLE_OK) end(id, code, false);
}

void TransferLoop::end(std::uint64_t id, CURLcode code, bool cancelled) {
  Running& running = running_.at(id);
  ids_.erase(running.handle->get());
  multi_->remove(running.handle->get());
  running.call->sink->detach();
  if (!cancelled) running.call->outcome = running.transfer->finish(code);
  running.transfer.reset();
  const bool usable = !cancelled && code == CURLE_OK && running.handle->clean();
  if (usable && idle_.size() < kIdleMax) idle_.push_back(std::move(running.handle));
  const std::function<void()> ended = std::move(running.ended);
  running_.erase(id);
  ended();
}

}  // namespace berth::image
