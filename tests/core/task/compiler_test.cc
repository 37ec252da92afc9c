// SPDX-License-Identifier: Apache-2.0
// Properties of GCC 12's coroutines on which this tree relies: each temporary, parameter and
// captured value is destroyed exactly once and lives long enough. The shapes that are miscompiled
// are in docs/hazards/gcc12-await-temporaries.md and are refused by await_rule_test.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/core/task/loop.h"

namespace berth {
namespace {

constexpr const char* kLong = "long enough to live on the heap and not in the string itself";
const std::size_t kLength = std::string_view(kLong).size();

// Counts constructions and destructions per address.
class Ledger {
 public:
  void made(const void* at) { ++alive_[at]; }
  void destroyed(const void* at) {
    if (--alive_[at] < 0) ++doubles_;
  }
  int living() const {
    int sum = 0;
    for (const auto& [at, count] : alive_) sum += count;
    return sum;
  }
  int doubles() const { return doubles_; }

 private:
  std::map<const void*, int> alive_;
  int doubles_ = 0;
};

struct Value {
  explicit Value(Ledger& where, std::string of = kLong) : ledger(&where), text(std::move(of)) {
    ledger->made(this);
  }
  Value(const Value& other) : ledger(other.ledger), text(other.text) { ledger->made(this); }
  Value(Value&& other) noexcept : ledger(other.ledger), text(std::move(other.text)) {
    ledger->made(this);
  }
  Value& operator=(const Value&) = default;
  ~Value() { ledger->destroyed(this); }

  Ledger* ledger;
  std::string text;
};

struct Options {
  Value first;
  std::string second;
};

class Compiler : public ::testing::Test {
 protected:
  ~Compiler() override {
    EXPECT_EQ(ledger_.living(), 0);
    EXPECT_EQ(ledger_.doubles(), 0);
  }
  Ledger& ledger() { return ledger_; }

 private:
  Ledger ledger_;
};

Task<Value> give(Ledger* ledger) {
  co_await yield();
  co_return Value(*ledger);
}

Task<std::size_t> take(Value value, std::string text) {
  co_await yield();
  co_return value.text.size() + text.size();
}

Task<std::size_t> take_options(Options options) {
  co_await yield();
  co_return options.first.text.size() + options.second.size();
}

Task<std::size_t> take_view(std::string_view view) {
  co_await yield();
  co_return view.size();
}

Task<std::size_t> constructed_temporaries(Ledger* ledger) {
  std::size_t size = co_await take(Value(*ledger), std::string("a") + kLong);
  co_return size;
}

TEST_F(Compiler, ConstructedTemporariesAsArgumentsLiveOnce) {
  EXPECT_EQ(*run_alone(constructed_temporaries(&ledger())), 2 * kLength + 1);
}

Task<std::size_t> named_aggregate(Ledger* ledger) {
  Options options{Value(*ledger), kLong};
  std::size_t size = co_await take_options(std::move(options));
  co_return size;
}

TEST_F(Compiler, ANamedAggregateMovesIntoATask) {
  EXPECT_EQ(*run_alone(named_aggregate(&ledger())), 2 * kLength);
}

Options make_options(Ledger* ledger) {
  return Options{Value(*ledger), kLong};
}

Task<std::size_t> aggregate_from_a_function(Ledger* ledger) {
  std::size_t size = co_await take_options(make_options(ledger));
  co_return size;
}

TEST_F(Compiler, AnAggregateReturnedByAFunctionLivesOnce) {
  EXPECT_EQ(*run_alone(aggregate_from_a_function(&ledger())), 2 * kLength);
}

Task<std::size_t> view_of_a_temporary() {
  std::size_t size = co_await take_view(std::string(kLong));
  co_return size;
}

TEST_F(Compiler, ATemporaryBehindAViewLivesUntilTheAwaitIsOver) {
  EXPECT_EQ(*run_alone(view_of_a_temporary()), kLength);
}

template <typename F>
Task<std::size_t> call(F function) {
  co_await yield();
  co_return function();
}

Task<std::size_t> named_lambda(Ledger* ledger) {
  Value value(*ledger);
  auto work = [value] { return value.text.size(); };
  std::size_t size = co_await call(std::move(work));
  co_return size;
}

TEST_F(Compiler, ANamedLambdaWithCapturesMovesIntoATask) {
  EXPECT_EQ(*run_alone(named_lambda(&ledger())), kLength);
}

Task<std::size_t> lambda_of_references(Ledger* ledger) {
  Value value(*ledger);
  std::size_t size = co_await call([&value] { return value.text.size(); });
  co_return size;
}

TEST_F(Compiler, ALambdaOfReferencesMayBeInTheStatementOfAnAwait) {
  EXPECT_EQ(*run_alone(lambda_of_references(&ledger())), kLength);
}

Task<std::size_t> lambda_coroutine_by_name(Ledger* ledger) {
  Value value(*ledger);
  auto body = [value]() -> Task<std::size_t> {
    co_await yield();
    co_return value.text.size();
  };
  std::size_t size = co_await body();
  co_return size;
}

TEST_F(Compiler, ALambdaCoroutineLivesAsLongAsItsNamedLambda) {
  EXPECT_EQ(*run_alone(lambda_coroutine_by_name(&ledger())), kLength);
}

Task<std::size_t> member_of_a_result(Ledger* ledger) {
  Value value = co_await give(ledger);
  Value again = co_await give(ledger);
  again = value;
  std::optional<Value> maybe;
  maybe = co_await give(ledger);
  const Value& extended = co_await give(ledger);
  co_await yield();
  co_return again.text.size() + maybe->text.size() + extended.text.size();
}

TEST_F(Compiler, ResultsAreBoundAssignedAndExtendedOnce) {
  EXPECT_EQ(*run_alone(member_of_a_result(&ledger())), 3 * kLength);
}

Task<void> fail_with_parameters(Value first, Value second) {
  co_await yield();
  static_cast<void>(first);
  co_await fail(Errc::aborted, second.text);
}

Task<std::string> parameters_of_a_failing_task(Ledger* ledger) {
  Result<void> failed = co_await fail_with_parameters(Value(*ledger), Value(*ledger)).result();
  co_return failed.error().subject;
}

TEST_F(Compiler, ParametersOfAFailingTaskAreDestroyedOnce) {
  EXPECT_EQ(*run_alone(parameters_of_a_failing_task(&ledger())), kLong);
}

Task<std::string> shadowed_names(Ledger* ledger) {
  Value name(*ledger, "outer");
  std::string seen;
  {
    Value name(*ledger, "inner");
    co_await yield();
    seen += name.text;
  }
  {
    std::string name = "third";
    co_await yield();
    seen += name;
  }
  co_return seen + name.text;
}

TEST_F(Compiler, SameNamesInNestedScopesAreDifferentVariables) {
  EXPECT_EQ(*run_alone(shadowed_names(&ledger())), "innerthirdouter");
}

// Stores its address, to detect a frame that copies its awaiter after suspend.
class OwnAddress {
 public:
  bool suspend(PromiseBase& waiter) {
    self_ = this;
    waiter.make_ready();
    return true;
  }
  Result<bool> resume() { return self_ == this; }

 private:
  OwnAddress* self_ = nullptr;
};

Task<bool> awaiters_stay() {
  bool plain = co_await OwnAddress();
  Result<bool> looked = co_await result(OwnAddress());
  co_return plain&&* looked;
}

TEST_F(Compiler, AnAwaiterStaysAtOneAddressFromSuspendToResume) {
  EXPECT_TRUE(*run_alone(awaiters_stay()));
}

struct alignas(64) CacheLine {
  std::array<char, 64> bytes;
};

Task<int> misaligned(int depth) {
  CacheLine line{};
  std::string shifts_the_heap(static_cast<std::size_t>(depth) * 24, 'x');
  co_await yield();
  int wrong = reinterpret_cast<std::uintptr_t>(&line) % 64 == 0 ? 0 : 1;
  if (depth == 0) co_return wrong;
  int below = co_await misaligned(depth - 1);
  co_return wrong + below;
}

TEST_F(Compiler, OverAlignedLocalsAreAligned) {
  EXPECT_EQ(*run_alone(misaligned(15)), 0);
}

}  // namespace
}  // namespace berth
