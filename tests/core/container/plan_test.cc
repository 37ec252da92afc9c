// SPDX-License-Identifier: Apache-2.0
// The launch plan: a reader gets what was encoded, and no malformed bytes make it read outside.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/container/launch.h"
#include "core/container/plan_view.h"
#include "core/linux/mmap.h"

namespace berth::container {
namespace {

LaunchContainer sample() {
  LaunchContainer spec;
  spec.process.args = {"sh", "-c", "true"};
  spec.process.env = {"A=1", "B="};
  spec.process.cwd = "/srv";
  spec.process.user = {7, 8, {9, 10}, 022};
  spec.process.rlimits = {{7, 100, 200}};
  spec.process.oom_score_adj = -5;
  spec.mounts = {{.destination = "/proc", .type = "proc", .source = "proc"},
                 {.destination = "/t", .type = "tmpfs", .data = "mode=755,noswap,size=1k"},
                 {.destination = "/v", .source_fd = 33, .destination_is_file = true}};
  spec.devices = {{"/dev/null", 020666, 1, 3, 4, 5}};
  spec.masked_paths = {"/proc/keys"};
  spec.readonly_paths = {"/proc/sys", "/proc/bus"};
  spec.namespaces.network = {PlanNamespaceMode::join, 34};
  spec.sysctl = {{"net/ipv4/ip_forward", "1"}};
  static constexpr std::uint64_t kFilter[] = {1, 2, 3};
  spec.seccomp = kFilter;
  return spec;
}

struct Encoded {
  EncodedPlan plan;
  std::vector<std::uint64_t> words;  // aligned like a mapping
  std::size_t size = 0;

  PlanView view() const {
    PlanView parsed;
    EXPECT_TRUE(PlanView::parse(words.data(), size, &parsed));
    return parsed;
  }
};

Encoded encode(const LaunchContainer& spec) {
  Encoded encoded{
      encode_container(spec, {.rootfs = 30, .cgroup = 31, .v1_tasks = {32}}).value(), {}, 0};
  encoded.size = encoded.plan.size;
  const sys::Mmap memory =
      sys::Mmap::create(encoded.plan.memfd.get(), encoded.size, {}, "plan").value();
  encoded.words.resize(encoded.size / 8 + 1);
  std::memcpy(encoded.words.data(), memory.data(), encoded.size);
  return encoded;
}

TEST(Plan, EveryFieldIsReadBack) {
  const Encoded encoded = encode(sample());
  const PlanView view = encoded.view();
  EXPECT_EQ(view.kind(), PlanKind::container);
  EXPECT_EQ(encoded.plan.fds, (std::vector<int>{30, 33, 34, 31, 32}));
  EXPECT_EQ(view.header().rootfs_fd, 0);
  EXPECT_EQ(view.ns(kPlanNetwork).fd, 2);
  EXPECT_EQ(view.header().cgroup_fd, 3);
  ASSERT_EQ(view.tasks().size(), 1U);
  EXPECT_EQ(view.tasks()[0], 4);
  ASSERT_EQ(view.texts(view.header().args).size(), 3U);
  EXPECT_STREQ(view.text(view.texts(view.header().args)[2]), "true");
  EXPECT_STREQ(view.text(view.texts(view.header().env)[1]), "B=");
  EXPECT_STREQ(view.text(view.header().cwd), "/srv");
  EXPECT_EQ(view.groups()[1], 10U);
  EXPECT_TRUE(view.has(kPlanHasUmask));
  EXPECT_EQ(view.header().umask, 022U);
  EXPECT_EQ(view.header().oom_score_adj, -5);
  ASSERT_EQ(view.mounts().size(), 3U);
  const auto options = view.options(view.mounts()[1]);
  ASSERT_EQ(options.size(), 3U);
  EXPECT_STREQ(view.text(options[0].key), "mode");
  EXPECT_STREQ(view.text(options[0].value), "755");
  EXPECT_STREQ(view.text(options[1].key), "noswap");
  EXPECT_EQ(options[1].has_value, 0U);
  EXPECT_EQ(view.mounts()[2].fd, 1);
  EXPECT_EQ(view.mounts()[2].propagation, 1U << 18) << "private by default";
  EXPECT_EQ(view.devices()[0].gid, 5U);
  EXPECT_STREQ(view.text(view.sysctls()[0].path), "net/ipv4/ip_forward");
  EXPECT_EQ(view.seccomp()[2], 3U);
  EXPECT_EQ(view.rlimits()[0].hard, 200U);
}

TEST(Plan, MemoryIsSealed) {
  const Encoded encoded = encode(sample());
  const Result<sys::Mmap> writable =
      sys::Mmap::create(encoded.plan.memfd.get(), encoded.size,
                        {.protection = PROT_READ | PROT_WRITE, .flags = MAP_SHARED}, "plan");
  EXPECT_FALSE(writable.ok());
}

void expect_rejected(const LaunchContainer& spec, const std::string& message, Errc code) {
  Result<EncodedPlan> plan = encode_container(spec, {.rootfs = 30});
  ASSERT_FALSE(plan.ok()) << message;
  EXPECT_EQ(plan.error().code, code);
  EXPECT_NE(plan.error().message().find(message), std::string::npos) << plan.error().message();
}

TEST(Plan, ContradictionsAreRefusedAndNamed) {
  LaunchContainer spec = sample();
  spec.process.args.clear();
  expect_rejected(spec, "no command", Errc::invalid_argument);
  spec = sample();
  spec.process.args[1] = std::string("a\0b", 3);
  expect_rejected(spec, "NUL byte inside `a`", Errc::invalid_argument);
  spec = sample();
  spec.process.cwd = "srv";
  expect_rejected(spec, "`srv` is not absolute", Errc::invalid_argument);
  spec = sample();
  spec.mounts.push_back({.destination = "relative", .type = "tmpfs"});
  expect_rejected(spec, "`relative` is not absolute", Errc::invalid_argument);
  spec = sample();
  spec.mounts.push_back({.destination = "/data", .type = "bind", .source = "/etc"});
  expect_rejected(spec, "`/data` has neither", Errc::invalid_argument);
  spec = sample();
  spec.namespaces.mount.mode = PlanNamespaceMode::host;
  expect_rejected(spec, "mount namespace", Errc::invalid_argument);
  spec = sample();
  spec.process.env.assign(5, std::string(1 << 20, 'x'));
  expect_rejected(spec, "larger than 4 MiB", Errc::resource_exhausted);
  spec = sample();
  spec.mounts.assign(2000, {.destination = "/t", .type = "tmpfs"});
  expect_rejected(spec, "too many entries", Errc::resource_exhausted);
}

TEST(Plan, AnotherVersionIsRefused) {
  Encoded encoded = encode(sample());
  auto* header = reinterpret_cast<PlanHeader*>(encoded.words.data());
  PlanView view;
  ++header->version;
  EXPECT_FALSE(PlanView::parse(header, encoded.size, &view));
  --header->version;
  EXPECT_TRUE(PlanView::parse(header, encoded.size, &view));
  EXPECT_FALSE(PlanView::parse(header, encoded.size - 1, &view));
  EXPECT_FALSE(PlanView::parse(header, 10, &view));
}

TEST(Plan, DescriptorsThatAreNotThereAreRefused) {
  for (std::int32_t PlanHeader::*field :
       {&PlanHeader::rootfs_fd, &PlanHeader::target_fd, &PlanHeader::cgroup_fd}) {
    Encoded encoded = encode(sample());
    auto* header = reinterpret_cast<PlanHeader*>(encoded.words.data());
    PlanView view;
    header->*field = 5;
    EXPECT_FALSE(PlanView::parse(header, encoded.size, &view));
    header->*field = -2;
    EXPECT_FALSE(PlanView::parse(header, encoded.size, &view));
  }
}

// Reads every byte of which the view has a reference, as the keeper would.
std::uint64_t read_everything(const PlanView& view) {
  std::uint64_t sum = 0;
  const auto text = [&](const PlanRef& ref) { sum += std::strlen(view.text(ref)); };
  const auto texts = [&](const PlanRef& ref) {
    for (const PlanRef& one : view.texts(ref)) text(one);
  };
  const PlanHeader& header = view.header();
  text(header.cwd);
  for (const PlanRef* ref :
       {&header.args, &header.env, &header.masked_paths, &header.readonly_paths}) {
    texts(*ref);
  }
  for (const PlanMount& mount : view.mounts()) {
    text(mount.destination);
    text(mount.type);
    text(mount.source);
    for (const PlanOption& option : view.options(mount)) {
      text(option.key);
      text(option.value);
    }
  }
  for (const PlanDevice& device : view.devices()) text(device.path);
  for (const PlanSysctl& sysctl : view.sysctls()) text(sysctl.value);
  for (const PlanRlimit& limit : view.rlimits()) sum += limit.soft;
  for (const std::uint32_t group : view.groups()) sum += group;
  for (const std::int32_t fd : view.tasks()) sum += static_cast<std::uint64_t>(fd);
  for (const std::uint64_t word : view.seccomp()) sum += word;
  return sum;
}

TEST(Plan, RandomDamageCausesNoReadOutsideThePlan) {
  const Encoded original = encode(sample());
  std::mt19937_64 random(20261122);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    // Has exactly the size of the message, so that a sanitizer reports a read of one byte too many.
    auto* words = static_cast<char*>(::operator new(original.size, std::align_val_t(8)));
    std::memcpy(words, original.words.data(), original.size);
    for (std::uint64_t i = 0; i <= random() % 4; ++i) {
      const std::size_t at = random() % (original.size / 4) * 4;
      const std::uint32_t values[] = {0, 0xffffffff, static_cast<std::uint32_t>(original.size),
                                      static_cast<std::uint32_t>(random()),
                                      static_cast<std::uint32_t>(random() % original.size)};
      std::memcpy(words + at, &values[random() % 5], 4);
    }
    PlanView view;
    if (PlanView::parse(words, original.size, &view)) {
      ++accepted;
      read_everything(view);
    }
    ::operator delete(words, std::align_val_t(8));
  }
  EXPECT_GT(accepted, 100) << "nearly every damaged plan is refused, so few are read";
  EXPECT_LT(accepted, 19'000);
}

}  // namespace
}  // namespace berth::container
