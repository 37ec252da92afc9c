// SPDX-License-Identifier: Apache-2.0
// Shared by the micro benches: a main that isolates them from the machine, and error handling.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace berth::bench {

// The directory of the bench. It is on a tmpfs in a mount namespace of this process, so nothing
// remains when the process ends.
constexpr char kPlace[] = "/mnt";
std::string place(const std::string& path);

// Parses the arguments, unshares, mounts the tmpfs, calls `prepare` if it is set, and runs all
// cases. Returns the exit code: 77 without root, 1 if no case matched.
int run_cases(int argc, char** argv, const std::function<void()>& prepare = {});

// Configures `cases` to report real time and, with repetitions, the median absolute deviation.
void figures(::benchmark::internal::Benchmark* cases);
// Configures only the median absolute deviation, for cases that measure the time themselves.
void add_deviation(::benchmark::internal::Benchmark* cases);

[[noreturn]] void give_up(const std::string& what);

// Returns the value, or prints the Error and ends the program.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}
// The same for a system call: if `value` is negative, prints `op` and errno and ends the program.
long must_call(long value, const char* op);

}  // namespace berth::bench
