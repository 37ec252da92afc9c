// SPDX-License-Identifier: Apache-2.0
// Claims about the pure functions of the command line: from names to ids, from options to values,
// from values to text.
#include <gtest/gtest.h>

#include <string>

#include "core/base/units.h"
#include "cri/cli/display.h"
#include "cri/cli/pod_config.h"
#include "cri/cli/resolve.h"
#include "cri/cli/run_options.h"
#include "cri/cli/stage_tree.h"

namespace berth::cli {
namespace {

Inventory two_pods() {
  Inventory inventory;
  inventory.pods = {{Kind::pod, "1aaa", "web", "1aaa", true, true},
                    {Kind::pod, "2bbb", "db", "2bbb", false, true}};
  inventory.containers = {{Kind::container, "1ccc", "web", "1aaa", true, true},
                          {Kind::container, "2ddd", "main", "2bbb", false, true},
                          {Kind::container, "3eee", "side", "2bbb", false, false}};
  return inventory;
}

TEST(Resolve, FindsByIdNameAndPrefix) {
  const Inventory inventory = two_pods();
  EXPECT_EQ(resolve(inventory, "2ddd").value().name, "main");
  EXPECT_EQ(resolve(inventory, "side").value().id, "3eee");
  EXPECT_EQ(resolve(inventory, "3").value().id, "3eee");
  EXPECT_EQ(resolve(inventory, "nope").error().code, Errc::not_found);
  EXPECT_EQ(resolve(inventory, "").error().code, Errc::invalid_argument);
}

TEST(Resolve, PrefersThePodToItsOwnContainerOfTheSameName) {
  EXPECT_EQ(resolve(two_pods(), "web").value().kind, Kind::pod);
  EXPECT_EQ(resolve_container(two_pods(), "web").value().id, "1ccc");
}

TEST(Resolve, ListsWhatAnAmbiguousPrefixMatches) {
  const Error error = resolve(two_pods(), "2").error();
  EXPECT_EQ(error.code, Errc::invalid_argument);
  EXPECT_EQ(error.message(), "`2` is ambiguous: pod 2bbb (db), container 2ddd (main)");
}

TEST(Resolve, APodStandsForItsOnlyContainerAndAContainerForItsPod) {
  EXPECT_EQ(resolve_container(two_pods(), "1aaa").value().id, "1ccc");
  EXPECT_EQ(resolve_container(two_pods(), "db").error().code, Errc::invalid_argument);
  EXPECT_EQ(resolve_pod(two_pods(), "side").value().id, "2bbb");
}

TEST(RunOptions, MemoryIsReadAsDockerReadsIt) {
  EXPECT_EQ(parse_memory("64m").value(), 64 << 20);
  EXPECT_EQ(parse_memory("1G").value(), 1 << 30);
  EXPECT_EQ(parse_memory("2kb").value(), 2048);
  EXPECT_EQ(parse_memory("4096").value(), 4096);
  for (const char* bad : {"", "m", "-1", "0", "1x", "1.5m", "99999999999t", "1 m", "b"}) {
    EXPECT_FALSE(parse_memory(bad).ok()) << bad;
  }
}

TEST(RunOptions, CpusAreThousandths) {
  EXPECT_EQ(parse_cpus("0.5").value(), 500);
  EXPECT_EQ(parse_cpus("2").value(), 2000);
  for (const char* bad : {"", "0", "-1", "x", "nan", "inf", "1e9", "0.5x"}) {
    EXPECT_FALSE(parse_cpus(bad).ok()) << bad;
  }
}

TEST(RunOptions, VolumesNeedTwoAbsolutePathsAndAKnownMode) {
  const VolumeOption volume = parse_volume("/a:/b:ro").value();
  EXPECT_EQ(volume.host_path, "/a");
  EXPECT_EQ(volume.container_path, "/b");
  EXPECT_TRUE(volume.readonly);
  EXPECT_FALSE(parse_volume("/a:/b").value().readonly);
  for (const char* bad : {"", "/a", "a:/b", "/a:b", "/a:/b:rx", "/a:/b:ro:x", ":/b", "/a:"}) {
    EXPECT_FALSE(parse_volume(bad).ok()) << bad;
  }
}

TEST(RunOptions, AUserIsANameOrANumberAndAGroupANumber) {
  EXPECT_EQ(parse_user("1000").value().uid, 1000);
  EXPECT_EQ(parse_user("web:5").value().name, "web");
  EXPECT_EQ(parse_user("web:5").value().gid, 5);
  for (const char* bad : {"", ":5", "-1", "web:staff", "1:-2", "1:"}) {
    EXPECT_FALSE(parse_user(bad).ok()) << bad;
  }
}

TEST(PodConfig, AsksForWhatAKubeletAsks) {
  PodOptions options;
  options.name = "web";
  options.uid = "u-1";
  options.log_root = "/logs";
  const cri::PodSandboxConfig pod = pod_config(options);
  EXPECT_EQ(pod.log_directory(), "/logs/default_web_u-1");
  const auto& namespaces = pod.linux().security_context().namespace_options();
  EXPECT_EQ(namespaces.network(), cri::POD);
  EXPECT_EQ(namespaces.pid(), cri::CONTAINER);
  ContainerOptions inside;
  inside.name = "web";
  const cri::ContainerConfig container = container_config(inside, pod);
  EXPECT_TRUE(container.linux().security_context().has_seccomp());
  EXPECT_EQ(container.linux().security_context().seccomp().profile_type(),
            cri::SecurityProfile::RuntimeDefault);
  EXPECT_EQ(container.log_path(), "web/0.log");
}

TEST(PodConfig, PrivilegedMasksNothingAndIsUnconfined) {
  PodOptions options;
  options.privileged = true;
  options.host_network = true;
  const cri::PodSandboxConfig pod = pod_config(options);
  EXPECT_EQ(pod.hostname(), "");
  EXPECT_EQ(pod.linux().security_context().namespace_options().network(), cri::NODE);
  const auto context = container_config(ContainerOptions(), pod).linux().security_context();
  EXPECT_TRUE(context.privileged());
  EXPECT_EQ(context.masked_paths_size() + context.readonly_paths_size(), 0);
  EXPECT_EQ(context.seccomp().profile_type(), cri::SecurityProfile::Unconfined);
}

TEST(PodConfig, UidsDiffer) {
  EXPECT_NE(random_uid(), random_uid());
}

TEST(Display, TableAlignsColumns) {
  Table table({"ID", "NAME"});
  table.add({"123456", "x"});
  EXPECT_EQ(table.text(), "ID       NAME\n123456   x\n");
}

TEST(Display, AgesAndSizesAreShort) {
  const std::int64_t now = 1'800'000'000 * kNanosecondsPerSecond;
  EXPECT_EQ(age(now - 3 * 60 * kNanosecondsPerSecond, now), "3 minutes");
  EXPECT_EQ(age(now - kNanosecondsPerSecond, now), "1 second");
  EXPECT_EQ(age(now + kNanosecondsPerSecond, now), "0 seconds");
  EXPECT_EQ(age(0, now), "-");
  EXPECT_EQ(human_size(999), "999B");
  EXPECT_EQ(human_size(4'260'000), "4.26MB");
  EXPECT_EQ(short_id("sha256:0123456789abcdef"), "0123456789ab");
  EXPECT_EQ(short_id("busybox:latest-and-more"), "busybox:latest-and-more");
  EXPECT_EQ(grouped(1234567), "1 234 567");
}

TEST(StageTree, ShowsSharesAndTheTimeOutsideAllStages) {
  const auto calls = parse_stages(
      R"([{"rpc":"RunPodSandbox","total_us":1000,"in_progress":false,
           "stages":[{"name":"network.attach","us":750}]}])",
      "");
  ASSERT_TRUE(calls.ok());
  EXPECT_EQ(stage_tree(calls.value()),
            "RunPodSandbox        1 000 µs  100.0%\n"
            "├─ network.attach      750 µs   75.0%\n"
            "└─ (between stages)    250 µs   25.0%\n"
            "total                1 000 µs\n");
}

TEST(StageTree, StepsAreBelowTheirStage) {
  const auto calls = parse_stages(
      R"([{"rpc":"StartContainer","total_us":10,"in_progress":false,
           "stages":[{"name":"handler.start","us":10,
                      "steps":[{"name":"clone","us":4},{"name":"mounts","us":6}]}]}])",
      "");
  ASSERT_TRUE(calls.ok());
  EXPECT_EQ(stage_tree(calls.value()),
            "StartContainer    10 µs  100.0%\n"
            "└─ handler.start  10 µs  100.0%\n"
            "   ├─ clone        4 µs   40.0%\n"
            "   └─ mounts       6 µs   60.0%\n"
            "total             10 µs\n");
}

TEST(StageTree, NamesTheStageOfARunningCall) {
  const auto calls = parse_stages(
      R"([{"rpc":"RunPodSandbox","total_us":5,"in_progress":true,
           "stages":[{"name":"a","us":1},{"name":"network.attach","us":4}]}])",
      "");
  EXPECT_NE(stage_tree(calls.value()).find("(in progress, waiting in network.attach)"),
            std::string::npos);
}

TEST(StageTree, MalformedInputIsAnErrorOrIgnored) {
  EXPECT_EQ(parse_stages("{", "").error().code, Errc::data_loss);
  EXPECT_EQ(parse_stages("{}", "").error().code, Errc::data_loss);
  EXPECT_TRUE(parse_stages(R"([7, {"rpc": 1, "total_us": "x", "stages": 5}])", "").ok());
}

}  // namespace
}  // namespace berth::cli
