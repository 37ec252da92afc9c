// SPDX-License-Identifier: Apache-2.0
// The image service against a registry: pulling, names, what is told of an image, removing.
#include <algorithm>
#include <filesystem>

#include "tests/cri/integration/image_fixture.h"

namespace berth::node_test {
namespace {

constexpr const char* kMerged = "127.0.0.1:5000/merged:latest";

class Image : public ImageNode {
 protected:
  static std::vector<v1::Image> list(const std::string& filter = "") {
    v1::ListImagesRequest request;
    if (!filter.empty()) *request.mutable_filter()->mutable_image() = spec(filter);
    const auto answer = call(&Images::ListImages, request);
    EXPECT_TRUE(answer.ok()) << answer.text();
    return {answer.value.images().begin(), answer.value.images().end()};
  }
  static v1::ImageFsInfoResponse fs_info() {
    const auto answer = call(&Images::ImageFsInfo, v1::ImageFsInfoRequest());
    EXPECT_TRUE(answer.ok()) << answer.text();
    return answer.value;
  }
};

TEST_F(Image, EveryNameOfAnImageGivesTheSameStatus) {
  const std::string id = pull(kMerged);
  const v1::Image image = image_status(id).image();
  EXPECT_EQ(image.id(), id);
  ASSERT_EQ(image.repo_tags_size(), 1);
  EXPECT_EQ(image.repo_tags(0), kMerged);
  ASSERT_EQ(image.repo_digests_size(), 1);
  EXPECT_GT(image.size(), 1000u);
  EXPECT_EQ(image.username(), "worker");
  EXPECT_FALSE(image.has_uid());
  for (const std::string& name : {std::string(kMerged), std::string("127.0.0.1:5000/merged"),
                                  image.repo_digests(0), id.substr(7), id.substr(7, 12)}) {
    EXPECT_EQ(image_status(name).image().SerializeAsString(), image.SerializeAsString()) << name;
  }
  EXPECT_FALSE(image_status("127.0.0.1:5000/none:1").has_image());
}

TEST_F(Image, PulledByDigestItHasNoTagAndByBothTheDigestDecides) {
  const std::string id = pull(kMerged);
  const std::string digested = image_status(id).image().repo_digests(0);
  const std::string digest = digested.substr(digested.find('@'));
  remove_image(id);
  EXPECT_FALSE(image_status(id).has_image());
  EXPECT_EQ(pull(digested), id);
  EXPECT_EQ(image_status(id).image().repo_tags_size(), 0);
  // Nobody asked the registry what the tag means, so it is nobody's here.
  EXPECT_EQ(pull("127.0.0.1:5000/merged:any" + digest), id);
  EXPECT_EQ(image_status(id).image().repo_tags_size(), 0);
  EXPECT_FALSE(image_status("127.0.0.1:5000/merged:any").has_image());
  EXPECT_EQ(image_status("127.0.0.1:5000/merged:any" + digest).image().id(), id);
  EXPECT_EQ(pull(kMerged), id);
  const v1::Image image = image_status(id).image();
  EXPECT_EQ(image.repo_digests_size(), 1);
  EXPECT_EQ(image.repo_digests(0), digested);
}

TEST_F(Image, VerboseStatusTellsConfigLayersChainsAndSizesAsJson) {
  const std::string id = pull(kMerged);
  const v1::ImageStatusResponse status = image_status(id, true);
  const std::string info = status.info().at("info");
  for (const char* part :
       {R"("kind":"image")", R"("manifestDigest":"sha256:)", R"("chainID":"sha256:)",
        R"("imageSpec":{)", R"("Entrypoint":["/bin/echo","entry"])",
        R"("layers":[{"digest":"sha256:)", R"("diffID":"sha256:)", R"("unpackedSize":)",
        R"("unpackedInodes":)"}) {
    EXPECT_NE(info.find(part), std::string::npos) << part << " in " << info;
  }
  EXPECT_TRUE(image_status(id).info().empty()) << "only verbose";
}

TEST_F(Image, AFilterSelectsByNameRepositoryAndId) {
  const std::string id = pull(kMerged);
  const std::string other = pull("127.0.0.1:5000/nocmd:latest");
  EXPECT_GE(list().size(), 2u);
  for (const std::string& filter : {id, std::string(kMerged), std::string("127.0.0.1:5000/merged"),
                                    image_status(id).image().repo_digests(0)}) {
    const std::vector<v1::Image> found = list(filter);
    ASSERT_EQ(found.size(), 1u) << filter;
    EXPECT_EQ(found[0].id(), id);
  }
  EXPECT_TRUE(list("127.0.0.1:5000/merged:other").empty());
  EXPECT_TRUE(list("127.0.0.1:5000/none").empty());
  remove_image(other);
}

TEST_F(Image, TheStreamCarriesWhatTheListDoes) {
  pull(kMerged);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const auto reader = client().images().StreamImages(&context, v1::StreamImagesRequest());
  v1::StreamImagesResponse piece;
  std::vector<std::string> streamed;
  while (reader->Read(&piece)) {
    for (const v1::Image& image : piece.images()) streamed.push_back(image.SerializeAsString());
  }
  ASSERT_TRUE(reader->Finish().ok());
  std::vector<std::string> listed;
  for (const v1::Image& image : list()) listed.push_back(image.SerializeAsString());
  EXPECT_FALSE(listed.empty());
  EXPECT_EQ(streamed, listed);
}

TEST_F(Image, RemovedWhileAContainerUsesItTheContainerGoesOnAndRestartsTheAgent) {
  const std::string id = pull(kMerged);
  const auto from_merged = [](v1::ContainerConfig& config) {
    config.mutable_image()->set_image(kMerged);
  };
  const std::string pod = run_pod();
  const std::string runs =
      start(pod, {"sh", "-c", "until test -e /go; do sleep 0.05; done; id -u"}, from_merged);
  const std::string made = create(pod, {"cat", "/etc/passwd"}, from_merged);
  for (const std::string& name : {std::string(kMerged), id, id}) remove_image(name);
  EXPECT_FALSE(image_status(id).has_image());
  EXPECT_TRUE(exec(runs, "cat /etc/group >/dev/null && touch /tmp-file 2>/dev/null; echo").ok());
  kill_berthd();
  ASSERT_TRUE(start_berthd()) << berthd_log();
  connect();
  ASSERT_TRUE(try_start(made).ok());
  wait_exited(made);
  EXPECT_NE(stdout_of(made).find("worker"), std::string::npos);
  EXPECT_EQ(status(runs).image_id(), id);
  EXPECT_TRUE(stop(runs).ok());
}

TEST_F(Image, FilesystemInfoGrowsWithImagesAndShrinksWithThem) {
  const std::string id = pull("127.0.0.1:5000/ghost:latest");
  remove_image(id);
  const v1::ImageFsInfoResponse before = fs_info();
  ASSERT_EQ(before.image_filesystems_size(), 1);
  ASSERT_EQ(before.container_filesystems_size(), 1);
  // The same text: a kubelet takes another one for a second disk.
  EXPECT_EQ(before.image_filesystems(0).fs_id().mountpoint(),
            before.container_filesystems(0).fs_id().mountpoint());
  pull("127.0.0.1:5000/ghost:latest");
  const v1::ImageFsInfoResponse with = fs_info();
  EXPECT_GT(with.image_filesystems(0).used_bytes().value(),
            before.image_filesystems(0).used_bytes().value());
  EXPECT_GT(with.image_filesystems(0).inodes_used().value(),
            before.image_filesystems(0).inodes_used().value());
  const std::string pod = run_pod();
  const std::string writer =
      start_script(pod, "dd if=/dev/zero of=/big bs=1M count=4 2>/dev/null; echo done; sleep 1000");
  ASSERT_TRUE(wait_until([&] { return stdout_of(writer) == "done\n"; }, 20));
  const std::uint64_t written = fs_info().container_filesystems(0).used_bytes().value();
  EXPECT_GE(written, before.container_filesystems(0).used_bytes().value() + (4u << 20));
  EXPECT_LT(written, before.container_filesystems(0).used_bytes().value() + (6u << 20));
  remove_image(id);
  remove_all_pods();
  EXPECT_TRUE(wait_until(
      [&] {
        const v1::ImageFsInfoResponse after = fs_info();
        return after.image_filesystems(0).inodes_used().value() <=
                   before.image_filesystems(0).inodes_used().value() &&
               after.container_filesystems(0).used_bytes().value() <=
                   before.container_filesystems(0).used_bytes().value();
      },
      10));
}

}  // namespace
}  // namespace berth::node_test
