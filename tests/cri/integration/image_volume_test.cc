// SPDX-License-Identifier: Apache-2.0
// A mount whose source is an image: what is seen, what is refused, and that nobody takes it away
// from a container that has it.
#include <filesystem>

#include "tests/cri/integration/image_fixture.h"

namespace berth::node_test {
namespace {

constexpr const char* kMerged = "127.0.0.1:5000/merged:latest";
constexpr const char* kHostile = "127.0.0.1:5000/hostile:latest";

class ImageVolume : public ImageNode {
 protected:
  Answer<v1::CreateContainerResponse> try_create(const ContainerTweak& tweak) {
    return call(&Runtime::CreateContainer, container_request(run_pod(), {"true"}, tweak));
  }
};

TEST_F(ImageVolume, ShowsTheImageReadOnlyAndItsProgramsRun) {
  const std::string id = pull(kMerged);
  EXPECT_EQ(printed(run_pod(),
                    "cat /volume/etc/not-executable; touch /volume/x 2>/dev/null || echo refused; "
                    "/volume/bin/echo ran; ls /volume",
                    volume(id)),
            "no program\nrefused\nran\nbin\netc\n");
}

TEST_F(ImageVolume, APrivilegedContainerCannotMakeItWritable) {
  pull(kMerged);
  const ContainerTweak with = volume(kMerged);
  const std::string text =
      printed(run_pod([](v1::PodSandboxConfig& config) {
                config.mutable_linux()->mutable_security_context()->set_privileged(true);
              }),
              "mount -o remount,rw,bind /volume 2>/dev/null; touch /volume/x 2>/dev/null && echo "
              "written || echo refused",
              [&](v1::ContainerConfig& config) {
                with(config);
                config.mutable_linux()->mutable_security_context()->set_privileged(true);
              });
  EXPECT_EQ(text, "refused\n");
}

TEST_F(ImageVolume, ASubPathIsADirectoryOrAFileOfTheImage) {
  pull(kMerged);
  EXPECT_EQ(printed(run_pod(), "ls /volume", volume(kMerged, "etc")),
            "group\nnot-executable\npasswd\n");
  EXPECT_EQ(printed(run_pod(), "cat /volume", volume(kMerged, "etc/not-executable")),
            "no program\n");
}

TEST_F(ImageVolume, ASubPathStaysInsideTheImage) {
  pull(kMerged);
  pull(kHostile);
  struct {
    const char* image;
    const char* sub_path;
  } const cases[] = {{kMerged, "none"},       {kMerged, "etc/passwd/x"}, {kMerged, "../etc"},
                     {kMerged, "/etc"},       {kHostile, "etc"},         {kHostile, "mnt"},
                     {kHostile, "etc/marker"}};
  for (const auto& c : cases) {
    const auto answer = try_create(volume(c.image, c.sub_path));
    EXPECT_EQ(answer.code(), grpc::StatusCode::INVALID_ARGUMENT) << c.sub_path;
    EXPECT_NE(answer.text().find("config.mounts[0].image_sub_path"), std::string::npos)
        << c.sub_path << ": " << answer.text();
  }
}

TEST_F(ImageVolume, WhatContradictsItselfIsRefusedByField) {
  const std::string id = pull(kMerged);
  struct {
    const char* field;
    grpc::StatusCode code;
    ContainerTweak tweak;
  } const cases[] = {
      {"config.mounts[0].readonly", grpc::StatusCode::INVALID_ARGUMENT,
       [&](v1::ContainerConfig& config) {
         volume(id)(config);
         config.mutable_mounts(0)->set_readonly(false);
       }},
      {"config.mounts[0].host_path", grpc::StatusCode::INVALID_ARGUMENT,
       [&](v1::ContainerConfig& config) {
         volume(id)(config);
         config.mutable_mounts(0)->set_host_path("/tmp");
       }},
      {"config.mounts[0].image", grpc::StatusCode::NOT_FOUND, volume("127.0.0.1:5000/none:1")},
      {"config.mounts[0].image_sub_path", grpc::StatusCode::INVALID_ARGUMENT,
       [&](v1::ContainerConfig& config) {
         v1::Mount* mount = config.add_mounts();
         mount->set_container_path("/volume");
         mount->set_host_path("/tmp");
         mount->set_image_sub_path("etc");
       }},
  };
  for (const auto& c : cases) {
    const auto answer = try_create(c.tweak);
    EXPECT_EQ(answer.code(), c.code) << c.field << ": " << answer.text();
    EXPECT_NE(answer.text().find(c.field), std::string::npos) << answer.text();
  }
}

TEST_F(ImageVolume, StatusTellsWhichImageItIs) {
  const std::string id = pull(kMerged);
  const std::string container = create(run_pod(), {"true"}, volume(kMerged));
  ASSERT_EQ(status(container).mounts_size(), 1);
  EXPECT_EQ(status(container).mounts(0).image().image(), kMerged);
  EXPECT_EQ(status(container).mounts(0).image().image_ref(), id);
}

TEST_F(ImageVolume, SurvivesTheRemovalOfItsImageAndARestartOfTheAgent) {
  const std::string id = pull(kMerged);
  const std::string pod = run_pod();
  const std::string runs = start(pod, {"sleep", "1000"}, volume(id));
  const std::string made = create(pod, {"cat", "/volume/etc/not-executable"}, volume(id, "etc"));
  const std::string whole = create(pod, {"cat", "/volume/etc/not-executable"}, volume(id));
  remove_image(id);
  const auto seen = exec(runs, "cat /volume/etc/not-executable");
  EXPECT_EQ(seen.value.stdout(), "no program\n");
  kill_berthd();
  ASSERT_TRUE(start_berthd()) << berthd_log();
  connect();
  EXPECT_EQ(exec(runs, "cat /volume/etc/not-executable").value.stdout(), "no program\n");
  ASSERT_TRUE(try_start(whole).ok());
  wait_exited(whole);
  EXPECT_EQ(stdout_of(whole), "no program\n");
  EXPECT_TRUE(remove(made).ok());
}

TEST_F(ImageVolume, NothingIsLeftInTheHostsMountTableOrOnDisk) {
  const std::string id = pull(kMerged);
  const std::string before = read_file("/proc/self/mounts");
  const std::string container = start(run_pod(), {"sleep", "1000"}, volume(id, "etc"));
  EXPECT_EQ(read_file("/proc/self/mounts"), before);
  EXPECT_TRUE(stop(container).ok());
  EXPECT_TRUE(remove(container).ok());
}

}  // namespace
}  // namespace berth::node_test
