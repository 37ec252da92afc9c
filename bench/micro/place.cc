// SPDX-License-Identifier: Apache-2.0
#include "bench/micro/place.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <vector>

namespace berth::bench {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double median_absolute_deviation(const std::vector<double>& values) {
  const double centre = median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - centre));
  return median(std::move(distances));
}

}  // namespace

std::string place(const std::string& path) {
  return std::string(kPlace) + "/" + path;
}

void give_up(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::_Exit(1);
}

long must_call(long value, const char* op) {
  if (value < 0) give_up(std::string(op) + ": " + std::strerror(errno));
  return value;
}

void figures(::benchmark::internal::Benchmark* cases) {
  cases->UseRealTime();
  add_deviation(cases);
}

void add_deviation(::benchmark::internal::Benchmark* cases) {
  cases->ComputeStatistics("mad", median_absolute_deviation);
}

int run_cases(int argc, char** argv, const std::function<void()>& prepare) {
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (::geteuid() != 0) {
    std::fputs("skipped: needs root, for a mount namespace of its own\n", stderr);
    return 77;
  }
  must_call(::unshare(CLONE_NEWNS), "unshare");
  must_call(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
  must_call(::mount("bench", kPlace, "tmpfs", 0, "mode=755"), "mount a tmpfs");
  if (prepare) prepare();
  const std::size_t ran = ::benchmark::RunSpecifiedBenchmarks();
  ::benchmark::Shutdown();
  return ran == 0 ? 1 : 0;
}

}  // namespace berth::bench
