// SPDX-License-Identifier: Apache-2.0
// The interfaces between the loop and other threads: post, stop, offload. Run under TSan as well.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/ring/may_hang.h"
#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "core/task/event.h"
#include "tests/core/ring/fixture.h"

namespace berth {
namespace {

using RingThreads = RingFixture;

TEST_F(RingThreads, PostsOfFourThreadsAllRunOnceAndEachInItsOrder) {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kPosts = 5000;
  std::array<std::vector<unsigned>, kThreads> seen;
  unsigned total = 0;
  std::vector<std::thread> posters;
  for (unsigned poster = 0; poster < kThreads; ++poster) {
    posters.emplace_back([this, poster, &seen, &total] {
      for (unsigned i = 0; i < kPosts; ++i) {
        ring().post([this, poster, i, &seen, &total] {
          seen[poster].push_back(i);
          if (++total == kThreads * kPosts) ring().stop();
        });
      }
    });
  }
  ring().run();
  for (std::thread& poster : posters) poster.join();
  for (const std::vector<unsigned>& order : seen) {
    ASSERT_EQ(order.size(), kPosts);
    for (unsigned i = 0; i < kPosts; ++i) ASSERT_EQ(order[i], i);
  }
  EXPECT_EQ(ring().counters().posts, kThreads * kPosts);
}

TEST_F(RingThreads, APostedClosureNotRunIsDestroyedWithTheRing) {
  auto token = std::make_shared<int>(1);
  {
    std::unique_ptr<Ring> other = MUST(Ring::create());
    other->post([token] {});
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

Task<int> offload_answer(Ring& ring, int number) {
  auto work = [number]() -> Result<int> {
    ::usleep(1000);
    return number;
  };
  int answer = co_await offload(ring, std::move(work));
  co_return answer;
}

Task<void> add_answer(Ring& ring, int number, int* sum) {
  int answer = co_await offload_answer(ring, number);
  *sum += answer;
}

TEST_F(RingThreads, ManyOffloadsShareABoundedNumberOfThreads) {
  Scope scope(ring().ready(), nullptr);
  int sum = 0;
  for (int i = 1; i <= 100; ++i) scope.spawn(add_answer(ring(), i, &sum));
  std::mutex mutex;
  std::set<int> ids;
  // Takes long enough that every thread of the pool gets some of the calls.
  auto note_thread = [&mutex, &ids]() -> Result<void> {
    ::usleep(1000);
    std::lock_guard<std::mutex> lock(mutex);
    ids.insert(::gettid());
    return {};
  };
  auto note = [](Ring& loop, std::function<Result<void>()> work) -> Task<void> {
    co_await offload(loop, std::move(work));
  };
  for (int i = 0; i < 100; ++i) scope.spawn(note(ring(), note_thread));
  close(scope);
  EXPECT_EQ(sum, 5050);
  EXPECT_GE(ids.size(), 1U);
  EXPECT_LE(ids.size(), 4U);
}

Task<int> offload_throwing(Ring& ring) {
  auto work = []() -> Result<int> { throw std::runtime_error("library"); };
  int answer = co_await offload(ring, work);
  co_return answer;
}

Task<int> offload_until_stopped(Ring& ring) {
  auto work = [](std::stop_token stop) -> Result<int> {
    while (!stop.stop_requested()) std::this_thread::yield();
    return 1;
  };
  int answer = co_await offload(ring, work);
  co_return answer;
}

TEST_F(RingThreads, AStopTokenReportsTheCancellationOfTheCaller) {
  const Deadline soon = Deadline::after_ms(50);
  Result<int> ended = ring().run_until(with_deadline(ring(), soon, offload_until_stopped(ring())));
  EXPECT_EQ(*ended, 1) << "work that ends on request keeps its result";
}

TEST_F(RingThreads, AnExceptionInAnOffloadedFunctionBecomesAnError) {
  Result<int> outcome = ring().run_until(offload_throwing(ring()));
  EXPECT_EQ(outcome.error().message(), "exception `library`");
}

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  std::atomic<int> started{0};

  Result<int> pass() {
    ++started;
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return open; });
    return 1;
  }
  void release() {
    std::lock_guard<std::mutex> lock(mutex);
    open = true;
    changed.notify_all();
  }
};

Task<int> offload_gate(Ring& ring, Gate& gate) {
  int answer = co_await offload(ring, [&gate] { return gate.pass(); });
  co_return answer;
}

TEST_F(RingThreads, CancellingWithdrawsQueuedFunctionsAndWaitsForRunningOnes) {
  Gate gate;
  std::vector<std::unique_ptr<RootTask<int>>> tasks;
  for (int i = 0; i < 6; ++i) {
    tasks.push_back(std::make_unique<RootTask<int>>(ring().ready(), offload_gate(ring(), gate)));
  }
  ring().turn(false);
  while (gate.started < 4) ::usleep(100);
  for (auto& task : tasks) task->cancel();
  ring().turn(false);
  EXPECT_FALSE(tasks[0]->done());
  ASSERT_TRUE(tasks[4]->done() && tasks[5]->done());
  EXPECT_EQ(tasks[4]->take().error().code, Errc::cancelled);
  gate.release();
  for (int i = 0; i < 4; ++i) {
    while (!tasks[static_cast<std::size_t>(i)]->done()) ring().turn(true);
    EXPECT_EQ(*tasks[static_cast<std::size_t>(i)]->take(), 1);
  }
  EXPECT_EQ(gate.started, 4);
}

// The result of a function. It counts its instances.
struct Tree {
  explicit Tree(std::atomic<int>* counter) : count(counter) { ++*count; }
  Tree(Tree&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
  Tree& operator=(Tree&&) = delete;
  ~Tree() {
    if (count != nullptr) --*count;
  }
  std::atomic<int>* count;
};

// Shared with the threads, because a thread that hangs outlives the frame of the test.
struct Hang {
  Gate gate;
  std::atomic<int> trees{0};
  std::atomic<int> returned{0};
};

Task<int> hang(HangingThreads& threads, std::shared_ptr<Hang> shared) {
  auto work = [shared]() -> Result<Tree> {
    Result<int> passed = shared->gate.pass();
    ++shared->returned;
    if (!passed.ok()) return std::move(passed).error();
    return Tree(&shared->trees);
  };
  Tree tree = co_await may_hang(threads, std::move(work));
  co_return tree.count->load();
}

TEST_F(RingThreads, CancellingAbandonsAHangingFunctionAndItsLateResultIsDestroyed) {
  const auto shared = std::make_shared<Hang>();
  {
    HangingThreads threads(ring(), 2);
    std::vector<std::unique_ptr<RootTask<int>>> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(std::make_unique<RootTask<int>>(ring().ready(), hang(threads, shared)));
    }
    ring().turn(false);
    while (shared->gate.started < 2) ::usleep(100);
    for (auto& task : tasks) task->cancel();
    ring().turn(false);
    for (auto& task : tasks) {
      ASSERT_TRUE(task->done());
      EXPECT_EQ(task->take().error().code, Errc::cancelled);
    }
  }
  EXPECT_EQ(shared->returned, 0) << "the test must not wait for threads that hang";
  shared->gate.release();
  // After the threads have ended, one reference is left and no tree.
  for (int i = 0; i < 5000 && shared.use_count() > 1; ++i) ::usleep(1000);
  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_EQ(shared->returned, 2) << "the third had not begun";
  EXPECT_EQ(shared->trees, 0);
}

TEST_F(RingThreads, AFunctionThatReturnsKeepsItsResultAndItsThreadServesTheNext) {
  HangingThreads threads(ring(), 1);
  const auto shared = std::make_shared<Hang>();
  shared->gate.release();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(MUST(ring().run_until(hang(threads, shared))), 1);
  EXPECT_EQ(shared->returned, 100);
  EXPECT_EQ(shared->trees, 0);
  RootTask<int> late(ring().ready(), hang(threads, shared));
  ring().turn(false);
  while (shared->returned < 101) ::usleep(100);
  while (!late.done()) ring().turn(true);
  EXPECT_EQ(MUST(late.take()), 1);
}

// Another thread posts, the loop resumes a coroutine, the coroutine answers the thread, as in every
// gRPC request. The target of the design is 10 us; the assertion leaves room for a busy machine.
TEST_F(RingThreads, APostResumesACoroutineAndAnswersInMicroseconds) {
  constexpr int kRounds = 2000;
  std::atomic<int> answered{0};
  std::vector<std::int64_t> took_ns;
  std::thread poster([this, &answered, &took_ns] {
    for (int i = 1; i <= kRounds; ++i) {
      const std::int64_t start_ns = monotonic_now_ns();
      ring().post([this, &answered, i] {
        auto answer = [](std::atomic<int>* to, int number) -> Task<void> {
          co_await yield();
          to->store(number, std::memory_order_release);
        };
        RootTask<void> root(ring().ready(), answer(&answered, i));
        while (!root.done()) ring().ready().drain();
      });
      while (answered.load(std::memory_order_acquire) != i) std::this_thread::yield();
      took_ns.push_back(monotonic_now_ns() - start_ns);
    }
    ring().stop();
  });
  ring().run();
  poster.join();
  std::sort(took_ns.begin(), took_ns.end());
  const std::int64_t median_ns = took_ns[kRounds / 2];
  RecordProperty("median_ns", std::to_string(median_ns));
  std::printf("post, resume, answer: median %ld ns, least %ld ns\n", median_ns, took_ns.front());
  EXPECT_LT(took_ns.front(), 1'000'000);
}

}  // namespace
}  // namespace berth
