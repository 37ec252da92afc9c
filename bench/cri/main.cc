// SPDX-License-Identifier: Apache-2.0
// berth-bench. Question: how long does a CRI runtime take to start a pod of one container, and how
// many complete lifecycles does it finish per second, measured at the client like a kubelet's
// calls? Baseline: another runtime in the same run, with the pods of both interleaved; only ratios
// within one run are meaningful. Non-goals: pulling, the start of the application, exec, stats,
// memory (bench/density), and the work of a kubelet. All numbers of all runtimes include the cost
// of the client, a fraction of a millisecond of gRPC per call.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "bench/cri/clean.h"
#include "bench/cri/plan.h"
#include "bench/cri/report.h"
#include "bench/cri/rounds.h"

namespace {

using berth::Result;
using berth::bench::Plan;

Result<int> start(const Plan& plan, const std::string& json_path) {
  TRY(const auto run, berth::bench::run_plan(plan));
  std::fputs(berth::bench::text_report(plan, run).c_str(), stdout);
  if (json_path.empty()) return 0;
  std::ofstream file(json_path);
  file << berth::bench::json_report(plan, run).dump(1) << "\n";
  file.close();
  if (!file) return berth::sys_error(errno, "write", json_path);
  return 0;
}

Result<int> clean(const Plan& plan) {
  for (const std::string& endpoint : plan.endpoints) {
    berth::cli::Client client(endpoint, berth::bench::kCallTimeout);
    TRY(const int removed, berth::bench::clean(client));
    std::printf("removed %d pods at %s\n", removed, endpoint.c_str());
  }
  return 0;
}

CLI::App* add_start(CLI::App& app, Plan& plan, std::string& json_path) {
  CLI::App* command = app.add_subcommand("start", "Time pod starts and whole lifecycles");
  command->add_option("--endpoint", plan.endpoints, "CRI socket; several are measured in turn")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--name", plan.names, "what to call each endpoint, in the same order")
      ->allow_extra_args(false);
  command->add_option("--image", plan.image, "pulled if absent")->required();
  command->add_option("--pods", plan.pods, "per endpoint")->check(CLI::Range(1, 1'000'000));
  command->add_option("--parallel", plan.parallel, "at a time")->check(CLI::Range(1, 1024));
  command->add_option("--network", plan.network, "pod or host")
      ->check(CLI::IsMember({"pod", "host"}));
  command->add_flag("--keep", plan.keep, "leave the pods running");
  command->add_option("--json", json_path, "write all numbers and samples here");
  command->add_option("--rounds", plan.rounds, "turns each endpoint takes");
  command->add_option("--warmup", plan.warmup, "uncounted pods per endpoint")
      ->check(CLI::Range(0, 1000));
  command->add_option("--grace", plan.grace_s, "seconds StopContainer waits before SIGKILL");
  command->add_option("--seed", plan.seed, "of the order of turns");
  command->add_option("--cgroup-parent", plan.cgroup_parent, "sent with every pod");
  command->add_option("--runtime-handler", plan.runtime_handler, "sent with every pod");
  command->add_option("--log-dir", plan.log_root, "pods' log directories are made here");
  command->add_option("--command", plan.command, "of the container, at the end of the line");
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  CLI::App app("Measure CRI runtimes.", "berth-bench");
  app.require_subcommand(1);
  Plan plan;
  std::string json_path;
  std::function<Result<int>()> run;
  add_start(app, plan, json_path)->callback([&] { run = [&] { return start(plan, json_path); }; });
  CLI::App* cleaning = app.add_subcommand("clean", "Remove the pods a bench left");
  cleaning->add_option("--endpoint", plan.endpoints, "CRI socket")->required();
  cleaning->callback([&] { run = [&] { return clean(plan); }; });
  CLI11_PARSE(app, argc, argv);

  const Result<int> exit_code = run();
  if (exit_code.ok()) return exit_code.value();
  std::fprintf(stderr, "berth-bench: %s (%s)\n", exit_code.error().message().c_str(),
               berth::errc_name(exit_code.error().code));
  return 1;
}
