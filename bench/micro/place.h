// SPDX-License-Identifier: Apache-2.0
// What the micro benches share: a main that runs them where they can do no harm, and the way they
// end when something does not work.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace berth::bench {

// A directory of the bench: on a tmpfs in a mount namespace of this process alone, so that nothing
// is left whichever way it ends.
constexpr char kPlace[] = "/mnt";
std::string place(const std::string& path);

// Parses the arguments, unshares, mounts the tmpfs, calls `prepare` if there is one, runs every
// case. Gives the exit code: 77 without root, 1 when no case matched.
int run_cases(int argc, char** argv, const std::function<void()>& prepare = {});

// Real time, and the median absolute deviation beside the median when there are repetitions.
void figures(::benchmark::internal::Benchmark* cases);
// The second alone, for a case that measures its time itself.
void add_deviation(::benchmark::internal::Benchmark* cases);

[[noreturn]] void give_up(const std::string& what);

// The value, or the end of the program with the Error's text: a bench has no way to go on.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}
// The same for a system call: negative ends the program with `op` and errno.
long must_call(long value, const char* op);

}  // namespace berth::bench
