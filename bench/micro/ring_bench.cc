// SPDX-License-Identifier: Apache-2.0
// Question: how long does an operation take through the ring and a coroutine, and how long does
// work on another thread take? Baseline: read(2) and write(2); two condition variables; creating
// and joining a std::thread. Non-goals: throughput of concurrent operations, disks, networks.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "bench/micro/place.h"
#include "core/ring/offload.h"
#include "core/ring/ring.h"
#include "core/task/event.h"

namespace berth::bench {
namespace {

struct Pipe {
  UniqueFd read_end, write_end;
};
Pipe make_pipe() {
  int ends[2] = {-1, -1};
  must_call(::pipe2(ends, O_CLOEXEC), "pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A flag that one thread sets and another thread waits for.
class Signal {
 public:
  void raise() {
    {
      const std::lock_guard lock(mutex_);
      raised_ = true;
    }
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return raised_; });
    raised_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

// A thread that runs `answer()` for each ask().
class Peer {
 public:
  explicit Peer(std::function<void()> answer)
      : answer_(std::move(answer)), thread_([this] { serve(); }) {}
  Peer(const Peer&) = delete;
  ~Peer() {
    ending_ = true;
    ask();
    thread_.join();
  }
  void ask() { asked_.raise(); }

 private:
  void serve() {
    for (asked_.wait(); !ending_; asked_.wait()) answer_();
  }

  std::function<void()> answer_;
  Signal asked_;
  bool ending_ = false;  // written before ask(), whose lock makes it visible to the thread
  std::thread thread_;
};

Task<void> pipe_rounds(Ring& ring, const Pipe& pipe, ::benchmark::State& state) {
  char byte = 0;
  const std::span<char> into(&byte, 1);
  while (state.KeepRunning()) {
    const int wrote = co_await ring.write(pipe.write_end.get(), "x");
    const int got = co_await ring.read(pipe.read_end.get(), into);
    if (wrote != 1 || got != 1) give_up("a short transfer");
  }
}

void BM_pipe_by_co_await(::benchmark::State& state) {
  const auto ring = must(Ring::create());
  const Pipe pipe = make_pipe();
  must(ring->run_until(pipe_rounds(*ring, pipe, state)));
}

void BM_pipe_by_syscalls(::benchmark::State& state) {
  const Pipe pipe = make_pipe();
  char byte = 0;
  for (auto _ : state) {
    const long wrote = must_call(::write(pipe.write_end.get(), "x", 1), "write");
    const long got = must_call(::read(pipe.read_end.get(), &byte, 1), "read");
    if (wrote != 1 || got != 1) give_up("a short transfer");
  }
}

Task<void> post_rounds(Peer& peer, Event& answered, ::benchmark::State& state) {
  while (state.KeepRunning()) {
    peer.ask();
    co_await answered.wait();
    answered.reset();
  }
}

void BM_thread_answers_by_post(::benchmark::State& state) {
  const auto ring = must(Ring::create());
  Event answered;
  Peer peer([&ring, &answered] { ring->post([&answered] { answered.set(); }); });
  must(ring->run_until(post_rounds(peer, answered, state)));
}

void BM_thread_answers_by_condition_variable(::benchmark::State& state) {
  Signal answered;
  Peer peer([&answered] { answered.raise(); });
  for (auto _ : state) {
    peer.ask();
    answered.wait();
  }
}

Task<void> offload_rounds(Ring& ring, ::benchmark::State& state) {
  while (state.KeepRunning()) {
    auto work = []() -> Result<pid_t> { return ::getppid(); };
    const pid_t parent = co_await offload(ring, work);
    ::benchmark::DoNotOptimize(parent);
  }
}

void BM_work_by_offload(::benchmark::State& state) {
  const auto ring = must(Ring::create());
  must(ring->run_until(offload_rounds(*ring, state)));
}

void BM_work_by_waiting_thread(::benchmark::State& state) {
  Signal done;
  pid_t parent = -1;
  Peer peer([&done, &parent] {
    parent = ::getppid();
    done.raise();
  });
  for (auto _ : state) {
    peer.ask();
    done.wait();
    ::benchmark::DoNotOptimize(parent);
  }
}

void BM_work_by_new_thread(::benchmark::State& state) {
  for (auto _ : state) {
    pid_t parent = -1;
    std::thread worker([&parent] { parent = ::getppid(); });
    worker.join();
    ::benchmark::DoNotOptimize(parent);
  }
}

BENCHMARK(BM_pipe_by_co_await)->Apply(figures);
BENCHMARK(BM_pipe_by_syscalls)->Apply(figures);
BENCHMARK(BM_thread_answers_by_post)->Apply(figures);
BENCHMARK(BM_thread_answers_by_condition_variable)->Apply(figures);
BENCHMARK(BM_work_by_offload)->Apply(figures);
BENCHMARK(BM_work_by_waiting_thread)->Apply(figures);
BENCHMARK(BM_work_by_new_thread)->Apply(figures);

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run_cases(argc, argv);
}
