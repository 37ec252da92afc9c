// SPDX-License-Identifier: Apache-2.0
// An OCI artifact is pulled, told of and mounted as files; it is never run, and its titles lead
// nowhere else.
#include <filesystem>

#include "tests/cri/integration/image_fixture.h"

namespace berth::node_test {
namespace {

constexpr const char* kModel = "127.0.0.1:5000/model:1";

class Artifact : public ImageNode {};

TEST_F(Artifact, IsListedWithItsManifestsAnnotationsAndItsFiles) {
  const std::string id = pull(kModel);
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image(kModel);
  request.set_verbose(true);
  const auto status = call(&Images::ImageStatus, request);
  ASSERT_TRUE(status.ok()) << status.text();
  const v1::Image& image = status.value.image();
  EXPECT_EQ(image.id(), id);
  ASSERT_EQ(image.repo_digests_size(), 1);
  EXPECT_EQ(image.repo_digests(0), "127.0.0.1:5000/model@" + id);
  EXPECT_EQ(image.spec().annotations().at("made.by"), "tests");
  const std::string info = status.value.info().at("info");
  for (const char* part : {R"("kind":"artifact")", R"("title":"deep/words.txt")",
                           R"("artifactType":"application/vnd.berth.tests.v1")"}) {
    EXPECT_NE(info.find(part), std::string::npos) << info;
  }
}

TEST_F(Artifact, AMegabyteOfAnnotationsIsLeftOutOfTheListAndIsInTheVerboseStatus) {
  const std::string id = pull("127.0.0.1:5000/wordy:1");
  const auto list = call(&Images::ListImages, v1::ListImagesRequest());
  ASSERT_TRUE(list.ok()) << list.text();
  EXPECT_LT(list.value.ByteSizeLong(), 100'000u);
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image(id);
  request.set_verbose(true);
  const auto status = call(&Images::ImageStatus, request);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_GT(status.value.info().at("info").size(), 1'000'000u);
}

TEST_F(Artifact, IsMountedAsReadOnlyFilesForEveryUser) {
  const std::string id = pull(kModel);
  const auto as_user = [&](v1::ContainerConfig& config) {
    volume(id)(config);
    config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(4321);
  };
  EXPECT_EQ(printed(run_pod(), "cat /volume/model.bin /volume/deep/words.txt; id -u", as_user),
            "weights\nwords\n4321\n");
  EXPECT_EQ(printed(run_pod(), "echo x 2>/dev/null >/volume/model.bin || echo refused", volume(id)),
            "refused\n");
  EXPECT_EQ(printed(run_pod(), "cat /volume/words.txt", volume(id, "deep")), "words\n");
}

TEST_F(Artifact, OutlivesItsRemovalInAContainerAndLeavesNoFileBehind) {
  const std::string id = pull(kModel);
  const std::string runs = start(run_pod(), {"sleep", "1000"}, volume(id));
  remove_image(id);
  kill_berthd();
  ASSERT_TRUE(start_berthd()) << berthd_log();
  connect();
  EXPECT_EQ(exec(runs, "cat /volume/model.bin").value.stdout(), "weights\n");
  EXPECT_TRUE(stop(runs).ok());
  EXPECT_TRUE(remove(runs).ok());
  EXPECT_FALSE(std::filesystem::exists(dir("BERTH_ROOT") + "/artifact-volumes/" + runs));
}

TEST_F(Artifact, AFileWhoseTitleLeadsOutCannotBeMounted) {
  v1::PullImageRequest request;
  request.mutable_image()->set_image("127.0.0.1:5000/escape:1");
  const auto pulled = call(&Images::PullImage, request);
  ASSERT_TRUE(pulled.ok()) << pulled.text();
  const auto answer =
      call(&Runtime::CreateContainer,
           container_request(run_pod(), {"true"}, volume("127.0.0.1:5000/escape:1")));
  EXPECT_EQ(answer.code(), grpc::StatusCode::INVALID_ARGUMENT) << answer.text();
  EXPECT_NE(answer.text().find("../../escape"), std::string::npos) << answer.text();
  EXPECT_FALSE(std::filesystem::exists(dir("BERTH_ROOT") + "/escape"));
  EXPECT_FALSE(std::filesystem::exists(dir("BERTH_ROOT") + "/artifact-volumes/escape"));
}

TEST_F(Artifact, IsNothingToRun) {
  pull(kModel);
  const auto answer = call(&Runtime::CreateContainer,
                           container_request(run_pod(), {"true"}, [](v1::ContainerConfig& config) {
                             config.mutable_image()->set_image(kModel);
                           }));
  EXPECT_EQ(answer.code(), grpc::StatusCode::INVALID_ARGUMENT) << answer.text();
  EXPECT_NE(answer.text().find("artifact"), std::string::npos) << answer.text();
}

}  // namespace
}  // namespace berth::node_test
