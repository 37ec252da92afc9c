// SPDX-License-Identifier: Apache-2.0
#include "bench/cri/report.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "bench/cri/summary.h"

namespace berth::bench {

namespace {

using Json = nlohmann::ordered_json;
using Samples = std::vector<std::int64_t>;

constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kNanosecondsPerMillisecond = 1e6;

Samples calls_of(const EndpointRun& run, std::size_t call) {
  Samples samples;
  for (const PodTimes& pod : run.pods) samples.push_back(pod.call_ns[call]);
  return samples;
}

Samples starts_of(const EndpointRun& run) {
  Samples samples;
  for (const PodTimes& pod : run.pods) samples.push_back(pod.start_ns);
  return samples;
}

Samples lifecycles_of(const EndpointRun& run) {
  Samples samples;
  for (const PodTimes& pod : run.pods) samples.push_back(pod.lifecycle_ns);
  return samples;
}

std::size_t calls_made(const Plan& plan) {
  return plan.keep ? static_cast<std::size_t>(Call::stop) : kCalls;
}

// Pods per second of the whole run, by wall-clock time: complete lifecycles, or starts when pods
// are kept.
double pods_per_s(const EndpointRun& run) {
  return static_cast<double>(run.pods.size()) * kNanosecondsPerSecond /
         static_cast<double>(run.wall_ns);
}

// Starts per second of workers that only start pods. By wall-clock time when pods are kept.
// Otherwise starts and removals overlap, so the rate is computed from the sum of the start times
// and `parallel` workers.
double starts_per_s(const Plan& plan, const EndpointRun& run) {
  if (plan.keep) return pods_per_s(run);
  double busy_ns = 0;
  for (const PodTimes& pod : run.pods) busy_ns += static_cast<double>(pod.start_ns);
  return static_cast<double>(run.pods.size()) * plan.parallel * kNanosecondsPerSecond / busy_ns;
}

std::string row(const char* name, const Samples& samples) {
  const Distribution d = distribution_of(samples);
  return fmt::format("{:<18}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}\n", name, d.p50, d.p90,
                     d.p99, d.max, d.mad);
}

std::string endpoint_text(const Plan& plan, const EndpointRun& run) {
  std::string text =
      fmt::format("{} {} at {}: {} pods, {} at a time, network {}\n", run.name, run.runtime_version,
                  run.endpoint, plan.pods, plan.parallel, plan.network);
  text += fmt::format("{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "ms", "p50", "p90", "p99", "max",
                      "MAD");
  for (std::size_t i = 0; i < calls_made(plan); ++i) {
    text += row(kCallNames[i], calls_of(run, i));
    if (i == static_cast<std::size_t>(Call::start)) text += row("whole start", starts_of(run));
  }
  if (!plan.keep) text += row("whole lifecycle", lifecycles_of(run));
  const Trend trend = trend_of(starts_of(run));
  text += fmt::format("starts/s {:.1f}", starts_per_s(plan, run));
  if (!plan.keep) text += fmt::format("   lifecycles/s {:.1f}", pods_per_s(run));
  text += fmt::format("   last/first start {:.2f} (medians of {})\n", trend.last_over_first,
                      trend.each);
  if (plan.keep) text += fmt::format("kept {} pods\n", run.pods.size());
  return text;
}

std::string ratio_text(const Plan& plan, const EndpointRun& first, const EndpointRun& other) {
  const double a = distribution_of(starts_of(first)).p50;
  const double b = distribution_of(starts_of(other)).p50;
  std::string text =
      fmt::format("ratio {} to {}: start p50 {:.3f} vs {:.3f} ms = {:.1f} times faster", first.name,
                  other.name, a, b, b / a);
  const double fast = pods_per_s(first);
  const double slow = pods_per_s(other);
  text += fmt::format("; {}/s {:.1f} vs {:.1f} = {:.1f} times as many\n",
                      plan.keep ? "starts" : "lifecycles", fast, slow, fast / slow);
  return text;
}

Json distribution_json(const Samples& samples) {
  const Distribution d = distribution_of(samples);
  return {{"p50", d.p50}, {"p90", d.p90}, {"p99", d.p99}, {"max", d.max}, {"mad", d.mad}};
}

Json samples_json(const Samples& samples) {
  Json all = Json::array();
  for (const std::int64_t ns : samples) {
    all.push_back(static_cast<double>(ns) / kNanosecondsPerMillisecond);
  }
  return all;
}

Json endpoint_json(const Plan& plan, const EndpointRun& run) {
  Json rpcs = Json::object();
  Json rpc_samples = Json::object();
  for (std::size_t i = 0; i < calls_made(plan); ++i) {
    rpcs[kCallNames[i]] = distribution_json(calls_of(run, i));
    rpc_samples[kCallNames[i]] = samples_json(calls_of(run, i));
  }
  const Trend trend = trend_of(starts_of(run));
  Json json = {{"endpoint", run.endpoint},
               {"runtime", run.name},
               {"runtime_version", run.runtime_version},
               {"pods", plan.pods},
               {"parallel", plan.parallel},
               {"network", plan.network},
               {"start_ms", distribution_json(starts_of(run))},
               {"rpc_ms", std::move(rpcs)}};
  json["lifecycle_ms"] = plan.keep ? Json() : distribution_json(lifecycles_of(run));
  json["starts_per_s"] = starts_per_s(plan, run);
  json["lifecycle_per_s"] = plan.keep ? Json() : Json(pods_per_s(run));
  json["wall_s"] = static_cast<double>(run.wall_ns) / kNanosecondsPerSecond;
  json["last_over_first"] = trend.last_over_first;
  json["start_samples_ms"] = samples_json(starts_of(run));
  json["rpc_samples_ms"] = std::move(rpc_samples);
  return json;
}

}  // namespace

std::string text_report(const Plan& plan, const BenchRun& run) {
  std::string text;
  for (const EndpointRun& endpoint : run.endpoints) text += endpoint_text(plan, endpoint) + "\n";
  for (std::size_t i = 1; i < run.endpoints.size(); ++i) {
    text += ratio_text(plan, run.endpoints[0], run.endpoints[i]);
  }
  return text + fmt::format("seed {} work {:016x}\n", plan.seed, run.work_hash);
}

nlohmann::ordered_json json_report(const Plan& plan, const BenchRun& run) {
  Json runs = Json::array();
  for (const EndpointRun& endpoint : run.endpoints) runs.push_back(endpoint_json(plan, endpoint));
  return {{"image", plan.image}, {"keep", plan.keep},          {"grace_s", plan.grace_s},
          {"seed", plan.seed},   {"work_hash", run.work_hash}, {"runs", std::move(runs)}};
}

}  // namespace berth::bench
