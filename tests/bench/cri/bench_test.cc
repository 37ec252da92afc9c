// SPDX-License-Identifier: Apache-2.0
// Runs berth-bench in its small size with a runtime in this process.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bench/cri/clean.h"
#include "bench/cri/report.h"
#include "bench/cri/rounds.h"
#include "bench/cri/summary.h"
#include "tests/cri/cli/fake_runtime.h"

namespace berth::bench {
namespace {

using test::FakeRuntime;
using test::Script;

Script sleeping() {
  Script script;
  script.running_answers = -1;
  return script;
}

Plan plan_of(const std::vector<const FakeRuntime*>& fakes) {
  Plan plan;
  for (const FakeRuntime* fake : fakes) plan.endpoints.push_back(fake->endpoint());
  plan.log_root = fakes.front()->directory() + "/logs";
  plan.image = "img";
  plan.pods = 7;
  plan.parallel = 3;
  return plan;
}

TEST(Summary, PercentilesAreNearestRank) {
  std::vector<std::int64_t> samples;
  for (std::int64_t ms = 100; ms >= 1; --ms) samples.push_back(ms * 1'000'000);
  const Distribution d = distribution_of(samples);
  EXPECT_DOUBLE_EQ(d.p50, 50);
  EXPECT_DOUBLE_EQ(d.p90, 90);
  EXPECT_DOUBLE_EQ(d.p99, 99);
  EXPECT_DOUBLE_EQ(d.max, 100);
  EXPECT_DOUBLE_EQ(d.mad, 25);
  EXPECT_DOUBLE_EQ(distribution_of({}).max, 0);
}

TEST(Summary, TrendComparesTheLastWithTheFirst) {
  std::vector<std::int64_t> samples(100, 10);
  std::fill(samples.end() - 10, samples.end(), 20);
  EXPECT_DOUBLE_EQ(trend_of(samples).last_over_first, 2);
  EXPECT_EQ(trend_of(samples).each, 10u);
}

TEST(Bench, RunsEveryPodOnEveryEndpointAndLeavesNothing) {
  const FakeRuntime a(sleeping());
  const FakeRuntime b(sleeping());
  const Plan plan = plan_of({&a, &b});
  const auto run = run_plan(plan);
  ASSERT_TRUE(run.ok()) << run.error().message();
  ASSERT_EQ(run.value().endpoints.size(), 2u);
  for (const EndpointRun& endpoint : run.value().endpoints) {
    ASSERT_EQ(endpoint.pods.size(), 7u);
    for (const PodTimes& pod : endpoint.pods) {
      EXPECT_GT(pod.start_ns, pod.call_ns[0]);
      EXPECT_GT(pod.lifecycle_ns, pod.start_ns);
      EXPECT_EQ(std::count(pod.call_ns.begin(), pod.call_ns.end(), 0), 0);
    }
  }
  EXPECT_EQ(a.pods_made(), 8u);  // including one for the warm-up
  EXPECT_EQ(a.pods() + b.pods(), 0u);
  const auto json = json_report(plan, run.value());
  EXPECT_EQ(json["runs"][1]["start_samples_ms"].size(), 7u);
  EXPECT_GT(json["runs"][0]["lifecycle_per_s"].get<double>(), 0);
  EXPECT_NE(text_report(plan, run.value()).find("ratio fake to fake"), std::string::npos);
}

TEST(Bench, EqualSeedsGiveEqualWork) {
  const FakeRuntime a(sleeping());
  const FakeRuntime b(sleeping());
  Plan plan = plan_of({&a, &b});
  plan.rounds = 7;
  plan.parallel = 1;
  const std::uint64_t first = run_plan(plan).value().work_hash;
  EXPECT_EQ(run_plan(plan).value().work_hash, first);
  plan.seed = 99;
  EXPECT_NE(run_plan(plan).value().work_hash, first);
}

TEST(Bench, KeepLeavesThePodsAndCleanRemovesThem) {
  const FakeRuntime fake(sleeping());
  Plan plan = plan_of({&fake});
  plan.keep = true;
  const auto run = run_plan(plan);
  ASSERT_TRUE(run.ok()) << run.error().message();
  EXPECT_EQ(fake.pods(), 7u);
  EXPECT_TRUE(json_report(plan, run.value())["runs"][0]["lifecycle_per_s"].is_null());
  cli::Client client(fake.endpoint(), kCallTimeout);
  EXPECT_EQ(clean(client).value(), 7);
  EXPECT_EQ(fake.pods(), 0u);
}

TEST(Bench, AContainerThatEndsByItselfFailsTheRunAndLeavesNothing) {
  Script script;
  script.exit_code = 1;
  for (const auto& [answers, complaint] : std::vector<std::pair<int, std::string>>{
           {0, "does not run after StartContainer"}, {1, "had ended before it was stopped"}}) {
    script.running_answers = answers;
    const FakeRuntime fake(script);
    const auto run = run_plan(plan_of({&fake}));
    ASSERT_FALSE(run.ok());
    EXPECT_NE(run.error().message().find(complaint), std::string::npos) << run.error().message();
    EXPECT_EQ(fake.pods(), 0u);
  }
}

}  // namespace
}  // namespace berth::bench
