// SPDX-License-Identifier: Apache-2.0
#include "core/ring/timers.h"

namespace berth {

void Timer::set(Timers& timers, Deadline deadline) {
  CHECK(timers_ == nullptr);
  if (deadline.is_never()) return;
  deadline_ = deadline;
  timers.add(*this);
  timers_ = &timers;
}

void Timer::drop() noexcept {
  if (timers_ == nullptr) return;
  timers_->remove(*this);
  timers_ = nullptr;
}

void Timers::fire(std::int64_t now_ns) noexcept {
  while (!heap_.empty() && heap_.front()->deadline_.monotonic_ns() <= now_ns) {
    Timer& due = *heap_.front();
    due.drop();
    due.on_time();
  }
}

void Timers::add(Timer& timer) {
  heap_.push_back(&timer);
  timer.place_ = heap_.size() - 1;
  up(timer.place_);
}

void Timers::remove(Timer& timer) noexcept {
  const std::size_t place = timer.place_;
  CHECK(place < heap_.size() && heap_[place] == &timer);
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  put(place, last);
  up(place);
  down(last->place_);
}

void Timers::put(std::size_t place, Timer* timer) noexcept {
  heap_[place] = timer;
  timer->place_ = place;
}

void Timers::up(std::size_t place) noexcept {
  Timer* timer = heap_[place];
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent]->deadline_ <= timer->deadline_) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, timer);
}

void Timers::down(std::size_t place) noexcept {
  Timer* timer = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    const std::size_t right = child + 1;
    if (right < heap_.size() && heap_[right]->deadline_ < heap_[child]->deadline_) child = right;
    if (timer->deadline_ <= heap_[child]->deadline_) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, timer);
}

}  // namespace berth
