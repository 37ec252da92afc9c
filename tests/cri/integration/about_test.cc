// SPDX-License-Identifier: Apache-2.0
// What the runtime says about itself and its images, and what it honestly does not do yet.
#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class About : public Node {};

TEST_F(About, VersionNamesTheRuntimeAndTheApi) {
  const auto answer = call(&Runtime::Version, v1::VersionRequest());
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.runtime_name(), "berth");
  EXPECT_EQ(answer.value.runtime_api_version(), "v1");
  EXPECT_NE(answer.value.version(), "");
  EXPECT_NE(answer.value.runtime_version(), "");
}

TEST_F(About, StatusHasBothConditionsTrueAndTheHandlers) {
  const auto answer = call(&Runtime::Status, v1::StatusRequest());
  ASSERT_TRUE(answer.ok()) << answer.text();
  std::map<std::string, bool> conditions;
  for (const auto& condition : answer.value.status().conditions()) {
    conditions[condition.type()] = condition.status();
  }
  EXPECT_TRUE(conditions["RuntimeReady"]);
  EXPECT_TRUE(conditions["NetworkReady"]);
  std::set<std::string> handlers;
  for (const auto& handler : answer.value.runtime_handlers()) handlers.insert(handler.name());
  EXPECT_TRUE(handlers.count("")) << "the default handler has no name";
  EXPECT_EQ(handlers, (std::set<std::string>{"", "cni", "native", "second"}));
  EXPECT_TRUE(answer.value.info().empty()) << "only verbose";
}

TEST_F(About, AHandlerThatIsAskedForIsTheOneOnRecord) {
  v1::RunPodSandboxRequest request = pod_request();
  request.set_runtime_handler("second");
  const auto made = call(&Runtime::RunPodSandbox, request);
  ASSERT_TRUE(made.ok()) << made.text();
  v1::PodSandboxStatusRequest asked;
  asked.set_pod_sandbox_id(made.value.pod_sandbox_id());
  const auto answer = call(&Runtime::PodSandboxStatus, asked);
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.status().runtime_handler(), "second");
  EXPECT_TRUE(remove_pod(made.value.pod_sandbox_id()).ok());
}

TEST_F(About, AnUnknownHandlerIsRefusedWithTheKnownOnes) {
  v1::RunPodSandboxRequest request = pod_request();
  request.set_runtime_handler("kata");
  const auto answer = call(&Runtime::RunPodSandbox, request);
  EXPECT_EQ(answer.code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(answer.text().find("native, second"), std::string::npos) << answer.text();
}

TEST_F(About, RuntimeConfigNamesTheCgroupDriver) {
  const auto answer = call(&Runtime::RuntimeConfig, v1::RuntimeConfigRequest());
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_EQ(answer.value.linux().cgroup_driver(), v1::CgroupDriver::CGROUPFS);
  v1::UpdateRuntimeConfigRequest update;
  EXPECT_TRUE(call(&Runtime::UpdateRuntimeConfig, update).ok());
  for (const char* cidrs : {"10.88.0.0/24", "10.88.0.0/24,fd88::/64"}) {
    update.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(cidrs);
    EXPECT_TRUE(call(&Runtime::UpdateRuntimeConfig, update).ok()) << cidrs;
  }
  for (const char* cidrs : {"10.88.0.0", "10.88.0.0/33", "fd88::/129", "a/8"}) {
    update.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(cidrs);
    const auto refused = call(&Runtime::UpdateRuntimeConfig, update);
    EXPECT_EQ(refused.code(), grpc::StatusCode::INVALID_ARGUMENT) << cidrs;
    EXPECT_NE(refused.text().find("pod_cidr"), std::string::npos) << refused.text();
  }
}

TEST_F(About, AbsentImageIsAnEmptyAnswerAndRemovingItIsFine) {
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("127.0.0.1:5000/never:seen");
  const auto answer = call(&Images::ImageStatus, request);
  ASSERT_TRUE(answer.ok()) << answer.text();
  EXPECT_FALSE(answer.value.has_image());
  v1::RemoveImageRequest gone;
  gone.mutable_image()->set_image("127.0.0.1:5000/never:seen");
  for (int i = 0; i < 2; ++i) {
    const auto removed = call(&Images::RemoveImage, gone);
    EXPECT_TRUE(removed.ok()) << removed.text();
  }
}

TEST_F(About, ImageIsFoundByTagIdAndDigestAndRemovedTwice) {
  const std::string tag = "127.0.0.1:5000/nocmd:latest";
  const auto status_of = [](const std::string& name) {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    return call(&Images::ImageStatus, request).value;
  };
  const v1::Image image = status_of(tag).image();
  ASSERT_EQ(image.id().rfind("sha256:", 0), 0u) << image.id();
  EXPECT_GT(image.size(), 100'000u);
  ASSERT_EQ(image.repo_digests_size(), 1);
  EXPECT_EQ(status_of(image.id()).image().id(), image.id());
  EXPECT_EQ(status_of(image.repo_digests(0)).image().id(), image.id());
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(image.id());
  EXPECT_TRUE(call(&Images::RemoveImage, request).ok());
  EXPECT_TRUE(call(&Images::RemoveImage, request).ok());
  EXPECT_FALSE(status_of(tag).has_image());
  v1::PullImageRequest pull;
  pull.mutable_image()->set_image(tag);
  const auto pulled = call(&Images::PullImage, pull);
  ASSERT_TRUE(pulled.ok()) << pulled.text();
  EXPECT_EQ(pulled.value.image_ref(), image.id());
}

TEST_F(About, ImageOfARunningContainerCanBeRemovedAndTheContainerGoesOn) {
  const std::string pod = run_pod();
  const std::string tag = "127.0.0.1:5000/nocmd:latest";
  const std::string id = start(pod, {"sleep", "1000"}, [&](v1::ContainerConfig& config) {
    config.mutable_image()->set_image(tag);
  });
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(tag);
  call(&Images::RemoveImage, request);
  const auto answer = exec(id, "cat /bin/busybox | head -c 4");
  EXPECT_EQ(answer.value.stdout().size(), 4u) << answer.text();
  ASSERT_TRUE(remove_pod(pod).ok());
  v1::PullImageRequest pull;
  pull.mutable_image()->set_image(tag);
  EXPECT_TRUE(call(&Images::PullImage, pull).ok());
}

TEST_F(About, ImageFsInfoNamesTheSnapshotsAndTheirBytes) {
  const auto answer = call(&Images::ImageFsInfo, v1::ImageFsInfoRequest());
  ASSERT_TRUE(answer.ok()) << answer.text();
  ASSERT_GE(answer.value.image_filesystems_size(), 1);
  const v1::FilesystemUsage& usage = answer.value.image_filesystems(0);
  EXPECT_EQ(usage.fs_id().mountpoint().rfind(dir("BERTH_ROOT"), 0), 0u);
  EXPECT_GT(usage.used_bytes().value(), 100'000u);
  EXPECT_GT(usage.timestamp(), 0);
}

template <typename Response>
void expect_unbuilt(const Answer<Response>& answer, const std::string& name) {
  EXPECT_EQ(answer.code(), grpc::StatusCode::UNIMPLEMENTED) << name;
  EXPECT_NE(answer.text().find(name), std::string::npos) << name << ": " << answer.text();
}

TEST_F(About, UnbuiltCallsNameThemselves) {
  expect_unbuilt(call(&Runtime::Exec, v1::ExecRequest()), "Exec");
  expect_unbuilt(call(&Runtime::Attach, v1::AttachRequest()), "Attach");
  expect_unbuilt(call(&Runtime::PortForward, v1::PortForwardRequest()), "PortForward");
  expect_unbuilt(call(&Runtime::ContainerStats, v1::ContainerStatsRequest()), "ContainerStats");
  expect_unbuilt(call(&Runtime::ListContainerStats, v1::ListContainerStatsRequest()),
                 "ListContainerStats");
  expect_unbuilt(call(&Runtime::PodSandboxStats, v1::PodSandboxStatsRequest()), "PodSandboxStats");
  expect_unbuilt(call(&Runtime::ListPodSandboxStats, v1::ListPodSandboxStatsRequest()),
                 "ListPodSandboxStats");
  expect_unbuilt(call(&Runtime::UpdateContainerResources, v1::UpdateContainerResourcesRequest()),
                 "UpdateContainerResources");
  expect_unbuilt(call(&Runtime::CheckpointContainer, v1::CheckpointContainerRequest()),
                 "CheckpointContainer");
  expect_unbuilt(call(&Runtime::ListMetricDescriptors, v1::ListMetricDescriptorsRequest()),
                 "ListMetricDescriptors");
  expect_unbuilt(call(&Runtime::UpdatePodSandboxResources, v1::UpdatePodSandboxResourcesRequest()),
                 "UpdatePodSandboxResources");
}

TEST_F(About, UnbuiltStreamNamesItselfToo) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const auto reader = client().runtime().GetContainerEvents(&context, v1::GetEventsRequest());
  v1::ContainerEventResponse event;
  EXPECT_FALSE(reader->Read(&event));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_NE(status.error_message().find("GetContainerEvents"), std::string::npos);
}

}  // namespace
}  // namespace berth::node_test
