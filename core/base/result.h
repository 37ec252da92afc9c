// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error, never neither. libstdc++ 12 has no std::expected in C++20.
// Expected absence is not an error: use std::optional inside the Result.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "core/base/check.h"
#include "core/base/error.h"

namespace berth {

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & {
    CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & {
    CHECK(!ok());
    return std::get<1>(state_);
  }
  const Error& error() const& {
    CHECK(!ok());
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

// Success without a value: `return {};` or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  void value() const { CHECK(ok()); }

  Error& error() & {
    CHECK(!ok());
    return *error_;
  }
  const Error& error() const& {
    CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace berth

// TRY(auto x, expression) declares x from a Result or returns its Error; TRY_(expression) is for
// Status. They are statements, for functions that are not coroutines: GCC 12 cannot compile a
// co_return inside a statement expression, and a Task is unwrapped by co_await instead
// (core/task/task.h).
#define BERTH_TRY_NAME2(line) try_result_##line
#define BERTH_TRY_NAME(line) BERTH_TRY_NAME2(line)
#define TRY(declaration, ...)                                                             \
  auto BERTH_TRY_NAME(__LINE__) = (__VA_ARGS__);                                          \
  if (!BERTH_TRY_NAME(__LINE__).ok()) return std::move(BERTH_TRY_NAME(__LINE__)).error(); \
  declaration = std::move(BERTH_TRY_NAME(__LINE__)).value()
#define TRY_(...)                                               \
  do {                                                          \
    auto try_status = (__VA_ARGS__);                            \
    if (!try_status.ok()) return std::move(try_status).error(); \
  } while (false)
// MUST(expression): success is certain for the reason written beside it.
#define MUST(...) (__VA_ARGS__).value()
