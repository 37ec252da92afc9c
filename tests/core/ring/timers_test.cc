// SPDX-License-Identifier: Apache-2.0
// A loop with many timers pending: each ends at its own time, in their order, even if others are
// set or dropped meanwhile.
#include "core/ring/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "core/ring/with_deadline.h"
#include "tests/core/ring/fixture.h"

namespace berth {
namespace {

constexpr unsigned kSeed = 42;

class Alarm final : public Timer {
 public:
  Alarm(std::vector<std::int64_t>& rung, std::int64_t at_ns) : rung_(rung), at_ns_(at_ns) {}
  void set_in(Timers& timers) { set(timers, Deadline::at_ns(at_ns_)); }
  std::int64_t at_ns() const { return at_ns_; }

 private:
  void on_time() noexcept override { rung_.push_back(at_ns_); }

  std::vector<std::int64_t>& rung_;
  std::int64_t at_ns_;
};

std::vector<std::unique_ptr<Alarm>> make_alarms(std::vector<std::int64_t>& rung, int count,
                                                std::mt19937_64& random) {
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < count; ++i) {
    const auto at_ns = static_cast<std::int64_t>(random() % 10'000 + 1);
    alarms.push_back(std::make_unique<Alarm>(rung, at_ns));
  }
  return alarms;
}

TEST(Timers, ManyFireInTheOrderOfTheirDeadlinesAndNoneEarly) {
  std::mt19937_64 random(kSeed);
  std::vector<std::int64_t> rung;
  Timers timers;
  const auto alarms = make_alarms(rung, 1000, random);
  std::vector<std::int64_t> expected;
  for (const auto& alarm : alarms) {
    alarm->set_in(timers);
    expected.push_back(alarm->at_ns());
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(timers.size(), 1000U);
  for (std::int64_t now_ns = 0; now_ns <= 10'000; now_ns += 100) {
    timers.fire(now_ns);
    const auto due = std::upper_bound(expected.begin(), expected.end(), now_ns);
    ASSERT_EQ(rung, std::vector<std::int64_t>(expected.begin(), due)) << "at " << now_ns;
    const Deadline next = due == expected.end() ? Deadline::never() : Deadline::at_ns(*due);
    ASSERT_EQ(timers.earliest(), next);
  }
  EXPECT_EQ(timers.size(), 0U);
}

// Compared with a sorted set, whose behaviour the heap must have.
TEST(Timers, DroppingFromTheMiddleOfManyKeepsTheRestInOrder) {
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::int64_t> rung;
    Timers timers;
    const auto alarms = make_alarms(rung, 200, random);
    std::multiset<std::int64_t> pending;
    std::vector<Alarm*> set;
    for (const auto& alarm : alarms) {
      alarm->set_in(timers);
      pending.insert(alarm->at_ns());
      set.push_back(alarm.get());
      if (random() % 2 == 0) continue;
      const std::size_t victim = random() % set.size();
      set[victim]->drop();
      pending.erase(pending.find(set[victim]->at_ns()));
      set.erase(set.begin() + static_cast<std::ptrdiff_t>(victim));
      const Deadline first =
          pending.empty() ? Deadline::never() : Deadline::at_ns(*pending.begin());
      ASSERT_EQ(timers.earliest(), first) << "round " << round;
      ASSERT_EQ(timers.size(), pending.size());
    }
    timers.fire(10'000);
    EXPECT_EQ(rung, std::vector<std::int64_t>(pending.begin(), pending.end())) << round;
  }
}

TEST(Timers, OneThatIsDueAtTheVeryMomentFires) {
  std::vector<std::int64_t> rung;
  Timers timers;
  Alarm alarm(rung, 100);
  alarm.set_in(timers);
  timers.fire(99);
  EXPECT_TRUE(rung.empty());
  timers.fire(100);
  EXPECT_EQ(rung, std::vector<std::int64_t>{100});
}

using RingTimers = RingFixture;

Task<void> sleep_and_tell(Ring& ring, Deadline until, std::vector<Deadline>& ended) {
  co_await ring.sleep_until(until);
  EXPECT_TRUE(until.passed());
  ended.push_back(until);
}

Task<int> read_one(Ring& ring, int fd) {
  char byte = 0;
  int count = co_await ring.read(fd, std::span(&byte, 1));
  co_return count;
}

TEST_F(RingTimers, ManySleepersEndInOrderWhileLaterOnesAreStillPending) {
  constexpr int kSleepers = 2000;
  std::mt19937_64 random(kSeed);
  std::vector<Deadline> ended;
  std::vector<Deadline> expected;
  Scope scope(ring().ready(), nullptr);
  // All of them sleep before the first is due.
  const std::int64_t base_ns = monotonic_now_ns() + 400'000'000;
  for (int i = 0; i < kSleepers; ++i) {
    const auto offset_ns = static_cast<std::int64_t>(random() % 150'000'000);
    expected.push_back(Deadline::at_ns(base_ns + offset_ns));
    scope.spawn(sleep_and_tell(ring(), expected.back(), ended));
  }
  std::sort(expected.begin(), expected.end());
  // These are pending all the time and must neither delay the others nor be woken with them.
  std::vector<Deadline> late;
  Scope waiting(ring().ready(), nullptr);
  for (int i = 0; i < 100; ++i) {
    waiting.spawn(sleep_and_tell(ring(), Deadline::after_ms(600'000 + i), late));
  }
  close(scope);
  EXPECT_TRUE(ended == expected) << ended.size() << " ended, in another order";
  EXPECT_LT(monotonic_now_ns() - base_ns, 5'000'000'000);
  EXPECT_EQ(ring().timers().size(), 100U);
  waiting.cancel();
  close(waiting);
  EXPECT_TRUE(late.empty());
}

// The agent has a limit on each of many calls: the one that is due ends its own call and no other.
TEST_F(RingTimers, ADeadlineAmongManyEndsItsOwnOperationOnly) {
  Pair silent = make_pipe();
  Pair spoken = make_pipe();
  Scope scope(ring().ready(), nullptr);
  std::vector<Deadline> late;
  for (int i = 0; i < 500; ++i) {
    scope.spawn(sleep_and_tell(ring(), Deadline::after_ms(600'000 - i), late));
  }
  Result<int> limited = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(20), read_one(ring(), silent.read.get())));
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code, Errc::deadline_exceeded);
  ASSERT_EQ(::write(spoken.write.get(), "x", 1), 1);
  Result<int> met = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(60'000), read_one(ring(), spoken.read.get())));
  EXPECT_TRUE(met.ok());
  EXPECT_EQ(ring().timers().size(), 500U);
  scope.cancel();
  close(scope);
  EXPECT_TRUE(late.empty());
}

}  // namespace
}  // namespace berth
