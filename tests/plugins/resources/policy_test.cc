// SPDX-License-Identifier: Apache-2.0
// Tables of CRI numbers and the resulting control files.
#include "plugins/resources/policy.h"

#include <gtest/gtest.h>

#include <functional>

#include "plugins/resources/usage.h"

namespace berth::plugins {
namespace {

using Writes = std::vector<ControlWrite>;
using Change = std::function<void(Resources&)>;

Resources with(const Change& change) {
  Resources resources;
  change(resources);
  return resources;
}

std::string text(const Writes& writes) {
  std::string all;
  for (const ControlWrite& write : writes) {
    all += write.file + "=" + write.value + (write.may_be_missing ? "?" : "") + ";";
  }
  return all;
}

std::string text_of(Controller controller, CgroupVersion version, const Change& change,
                    const CurrentLimits& current = {}) {
  return text(control_writes(controller, version, with(change), current));
}

TEST(CpuWeight, MatchesTheFixedPointsOfSharesAndWeights) {
  struct Row {
    std::int64_t shares;
    unsigned weight;
  };
  for (const Row& row : {Row{0, 1}, Row{2, 1}, Row{1024, 100}, Row{262144, 10000}, Row{512, 59},
                         Row{2048, 174}, Row{10'000'000, 10000}}) {
    EXPECT_EQ(weight_from_shares(row.shares), row.weight) << row.shares;
  }
}

TEST(CpuWeight, NeverFallsWhenSharesRise) {
  unsigned before = 0;
  for (std::int64_t shares = 2; shares <= 262144; shares += 1 + shares / 64) {
    const unsigned weight = weight_from_shares(shares);
    EXPECT_GE(weight, before);
    before = weight;
  }
}

TEST(Validate, OutOfRangeNumbersNameTheField) {
  struct Row {
    Change change;
    const char* field;
  };
  const Row rows[] = {
      {[](Resources& r) { r.cpu_shares = -1; }, "cpu_shares"},
      {[](Resources& r) { r.cpu_shares = 262145; }, "cpu_shares"},
      {[](Resources& r) { r.cpu_period = 999; }, "cpu_period"},
      {[](Resources& r) { r.cpu_period = -5; }, "cpu_period"},
      {[](Resources& r) { r.cpu_period = 1'000'001; }, "cpu_period"},
      {[](Resources& r) { r.cpu_quota = -2; }, "cpu_quota"},
      {[](Resources& r) { r.cpu_quota = 999; }, "cpu_quota"},
      {[](Resources& r) { r.cpu_quota = INT64_MAX; }, "cpu_quota"},
      {[](Resources& r) { r.memory_limit_in_bytes = -2; }, "memory_limit_in_bytes"},
      {[](Resources& r) { r.memory_limit_in_bytes = 1; }, "memory_limit_in_bytes"},
      {[](Resources& r) { r.memory_swap_limit_in_bytes = -7; }, "memory_swap_limit_in_bytes"},
      {[](Resources& r) { r.memory_swap_limit_in_bytes = 8192; }, "memory_swap_limit_in_bytes"},
      {[](Resources& r) {
         r.memory_limit_in_bytes = 16384;
         r.memory_swap_limit_in_bytes = 8192;
       },
       "memory_swap_limit_in_bytes"},
      {[](Resources& r) { r.pids_limit = -3; }, "pids_limit"},
      {[](Resources& r) { r.pids_limit = 4194305; }, "pids_limit"},
      {[](Resources& r) { r.cpuset_cpus = "0-"; }, "cpuset_cpus"},
      {[](Resources& r) { r.cpuset_cpus = "0-1-2"; }, "cpuset_cpus"},
      {[](Resources& r) { r.cpuset_cpus = "all"; }, "cpuset_cpus"},
      {[](Resources& r) { r.cpuset_mems = ",0"; }, "cpuset_mems"},
      {[](Resources& r) { r.hugepage_limits["../2MB"] = 1; }, "hugepage_limits"},
      {[](Resources& r) { r.hugepage_limits["MB"] = 1; }, "hugepage_limits"},
      {[](Resources& r) { r.unified["../memory.max"] = "1"; }, "unified"},
      {[](Resources& r) { r.unified["cgroup.procs"] = "1"; }, "unified"},
      {[](Resources& r) { r.unified["nodot"] = "1"; }, "unified"},
      {[](Resources& r) { r.unified[std::string("a.\0b", 4)] = "1"; }, "unified"},
  };
  for (const Row& row : rows) {
    const Status judged = validate(with(row.change));
    ASSERT_FALSE(judged.ok()) << row.field;
    EXPECT_TRUE(judged.error().is(Errc::invalid_argument));
    EXPECT_NE(judged.error().message().find(std::string("linux.resources.") + row.field),
              std::string::npos)
        << judged.error().message();
  }
}

TEST(Validate, NumbersOfTheKubeletPass) {
  const Change rows[] = {
      [](Resources&) {},
      [](Resources& r) {
        r = {.cpu_period = 100000,
             .cpu_quota = 50000,
             .cpu_shares = 512,
             .memory_limit_in_bytes = 1 << 26,
             .memory_swap_limit_in_bytes = 1 << 26,
             .pids_limit = 1024,
             .cpuset_cpus = "0-1,3",
             .cpuset_mems = "0",
             .hugepage_limits = {{"2MB", 0}, {"1GB", 0}},
             .unified = {{"memory.oom.group", "1"}}};
      },
      [](Resources& r) {
        r.cpu_quota = -1;
        r.memory_limit_in_bytes = -1;
        r.memory_swap_limit_in_bytes = -1;
        r.pids_limit = -1;
      },
  };
  for (const Change& change : rows) EXPECT_TRUE(validate(with(change)).ok());
}

TEST(Policy, EveryControllerWritesNothingWhenNothingIsAsked) {
  for (const Controller controller : {Controller::cpu, Controller::cpuset, Controller::memory,
                                      Controller::pids, Controller::hugetlb, Controller::unified}) {
    for (const CgroupVersion version : {CgroupVersion::v1, CgroupVersion::v2}) {
      EXPECT_EQ(text_of(controller, version, [](Resources&) {}), "") << controller_name(controller);
    }
  }
}

struct PolicyRow {
  Controller controller;
  Change change;
  const char* v1;
  const char* v2;
};

TEST(Policy, NewGroupGetsTheseFiles) {
  const PolicyRow rows[] = {
      {Controller::cpu, [](Resources& r) { r.cpu_shares = 1024; }, "cpu.shares=1024;",
       "cpu.weight=100;"},
      {Controller::cpu, [](Resources& r) { r.cpu_shares = 1; }, "cpu.shares=2;", "cpu.weight=1;"},
      {Controller::cpu, [](Resources& r) { r.cpu_quota = 50000; }, "cpu.cfs_quota_us=50000;",
       "cpu.max=50000 100000;"},
      {Controller::cpu,
       [](Resources& r) {
         r.cpu_quota = 20000;
         r.cpu_period = 10000;
       },
       "cpu.cfs_period_us=10000;cpu.cfs_quota_us=20000;", "cpu.max=20000 10000;"},
      {Controller::cpu, [](Resources& r) { r.cpu_quota = -1; }, "cpu.cfs_quota_us=-1;",
       "cpu.max=max 100000;"},
      {Controller::memory, [](Resources& r) { r.memory_limit_in_bytes = 65536; },
       "memory.limit_in_bytes=65536;", "memory.max=65536;"},
      {Controller::memory,
       [](Resources& r) {
         r.memory_limit_in_bytes = 65536;
         r.memory_swap_limit_in_bytes = 65536;
       },
       "memory.limit_in_bytes=65536;memory.memsw.limit_in_bytes=65536?;",
       "memory.swap.max=0?;memory.max=65536;"},
      {Controller::memory,
       [](Resources& r) {
         r.memory_limit_in_bytes = 65536;
         r.memory_swap_limit_in_bytes = -1;
       },
       "memory.limit_in_bytes=65536;memory.memsw.limit_in_bytes=-1?;",
       "memory.swap.max=max?;memory.max=65536;"},
      {Controller::memory, [](Resources& r) { r.memory_limit_in_bytes = -1; },
       "memory.limit_in_bytes=-1;memory.memsw.limit_in_bytes=-1?;",
       "memory.swap.max=max?;memory.max=max;"},
      {Controller::pids, [](Resources& r) { r.pids_limit = 7; }, "pids.max=7;", "pids.max=7;"},
      {Controller::pids, [](Resources& r) { r.pids_limit = -1; }, "pids.max=max;", "pids.max=max;"},
      {Controller::cpuset,
       [](Resources& r) {
         r.cpuset_cpus = "0-1";
         r.cpuset_mems = "0";
       },
       "cpuset.cpus=0-1;cpuset.mems=0;", "cpuset.cpus=0-1;cpuset.mems=0;"},
      {Controller::hugetlb, [](Resources& r) { r.hugepage_limits["2MB"] = 4194304; },
       "hugetlb.2MB.limit_in_bytes=4194304;", "hugetlb.2MB.max=4194304;"},
      {Controller::hugetlb, [](Resources& r) { r.hugepage_limits["1GB"] = 0; },
       "hugetlb.1GB.limit_in_bytes=0?;", "hugetlb.1GB.max=0?;"},
      {Controller::unified, [](Resources& r) { r.unified["memory.high"] = "9"; }, "",
       "memory.high=9;"},
  };
  for (const PolicyRow& row : rows) {
    EXPECT_EQ(text_of(row.controller, CgroupVersion::v1, row.change), row.v1);
    EXPECT_EQ(text_of(row.controller, CgroupVersion::v2, row.change), row.v2);
  }
}

TEST(Policy, UpdateWritesInTheOrderTheKernelAccepts) {
  const CurrentLimits current{
      .fresh = false, .cpu_max = "30000 50000\n", .memory_limit_in_bytes = 1 << 20};
  const auto both = [](std::int64_t bytes) {
    return [bytes](Resources& r) {
      r.memory_limit_in_bytes = bytes;
      r.memory_swap_limit_in_bytes = bytes;
    };
  };
  EXPECT_EQ(text_of(Controller::memory, CgroupVersion::v1, both(1 << 21), current),
            "memory.memsw.limit_in_bytes=2097152?;memory.limit_in_bytes=2097152;");
  EXPECT_EQ(text_of(Controller::memory, CgroupVersion::v1, both(1 << 19), current),
            "memory.limit_in_bytes=524288;memory.memsw.limit_in_bytes=524288?;");
  EXPECT_EQ(text_of(
                Controller::cpu, CgroupVersion::v1,
                [](Resources& r) {
                  r.cpu_period = 20000;
                  r.cpu_quota = 10000;
                },
                current),
            "cpu.cfs_quota_us=-1;cpu.cfs_period_us=20000;cpu.cfs_quota_us=10000;");
  EXPECT_EQ(text_of(
                Controller::cpu, CgroupVersion::v1,
                [](Resources& r) {
                  r.cpu_period = 20000;
                  r.cpu_quota = -1;
                },
                current),
            "cpu.cfs_quota_us=-1;cpu.cfs_period_us=20000;");
  EXPECT_EQ(
      text_of(
          Controller::cpu, CgroupVersion::v2, [](Resources& r) { r.cpu_period = 20000; }, current),
      "cpu.max=30000 20000;")
      << "the half that was not asked for stays";
  EXPECT_EQ(
      text_of(
          Controller::cpu, CgroupVersion::v2, [](Resources& r) { r.cpu_quota = 7000; }, current),
      "cpu.max=7000 50000;");
  EXPECT_EQ(
      text_of(
          Controller::cpu, CgroupVersion::v2, [](Resources& r) { r.cpu_quota = -1; }, current),
      "cpu.max=max 50000;")
      << "a limit that is taken away";
}

TEST(Usage, ControlFilesAreReadByKey) {
  const char* stat = "cache 1\ninactive_file 22\ntotal_inactive_file 333\n";
  EXPECT_EQ(parse_flat_keyed(stat, "inactive_file"), 22u);
  EXPECT_EQ(parse_flat_keyed(stat, "total_inactive_file"), 333u);
  EXPECT_EQ(parse_flat_keyed(stat, "inactive"), 0u);
  EXPECT_EQ(parse_flat_keyed("oom_kill 4", "oom_kill"), 4u);
  EXPECT_EQ(parse_count("max\n"), 0u);
  EXPECT_EQ(parse_count("18446744073709551615\n"), UINT64_MAX);
  EXPECT_EQ(working_set_bytes(10, 4), 6u);
  EXPECT_EQ(working_set_bytes(4, 10), 0u);
}

}  // namespace
}  // namespace berth::plugins
