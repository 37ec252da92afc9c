// SPDX-License-Identifier: Apache-2.0
// Promise: an image that was pulled by a short name is the same image under that name for every
// call of both services, and where the configuration does not resolve it, it is for none.
#include <filesystem>
#include <fstream>

#include "tests/cri/integration/image_fixture.h"

namespace berth::node_test {
namespace {

constexpr const char* kShort = "merged";
constexpr const char* kWhole = "127.0.0.1:5000/merged:latest";

class ShortName : public ImageNode {
 protected:
  void TearDown() override {
    std::filesystem::remove(registries_conf());
    berth("image prune -a");
    Node::TearDown();
  }
  static void configure(const std::string& text) { std::ofstream(registries_conf()) << text; }
  // Fails the test when the verb does.
  static std::string done(const std::string& words) {
    const Ran ran = berth(words);
    EXPECT_EQ(ran.exit_code, 0) << "berth " << words << ": " << ran.out;
    return ran.out;
  }
  // Empty: not present.
  static std::string id_of(const std::string& name) { return image_status(name).image().id(); }
  static Answer<v1::ListImagesResponse> list(const std::string& filter) {
    v1::ListImagesRequest request;
    *request.mutable_filter()->mutable_image() = spec(filter);
    return call(&Images::ListImages, request);
  }
  static ContainerTweak from(const std::string& image, const std::string& mounted = "") {
    return [image, mounted](v1::ContainerConfig& config) {
      config.mutable_image()->set_image(image);
      if (!mounted.empty()) volume(mounted)(config);
    };
  }
};

TEST_F(ShortName, NamesTheSameImageForEveryCall) {
  configure("unqualified-search-registries = [\"127.0.0.1:5000\"]\n");
  const std::string id = pull(kShort);
  EXPECT_EQ(id_of(kShort), id);
  EXPECT_EQ(id_of(kWhole), id);
  EXPECT_EQ(list(kShort).value.images_size(), 1);
  EXPECT_EQ(list("none").value.images_size(), 0);
  EXPECT_EQ(printed(run_pod(), "/bin/cat /etc/not-executable /volume/etc/not-executable",
                    from(kShort, kShort)),
            "no program\nno program\n");
  remove_all_pods();
  EXPECT_NE(done("image inspect merged").find(kWhole), std::string::npos);

  EXPECT_EQ(done("image tag merged renamed:2"), id + "\n");
  EXPECT_EQ(id_of("127.0.0.1:5000/renamed:2"), id);
  EXPECT_EQ(done("image pin renamed:2"), id + "\n");
  EXPECT_EQ(done("image unpin renamed:2"), id + "\n");
  const std::string archive = dir("BERTH_NODE_DIR") + "/short.tar";
  done("image save -o " + archive + " merged");
  // One to where it was found, one to where a name leads.
  done("push renamed:2");
  done("push merged team/short:3");

  remove_image(kShort);
  EXPECT_EQ(id_of(kShort), "");
  EXPECT_EQ(id_of("renamed:2"), id) << "only the name that was removed is gone";
  remove_image("renamed:2");
  EXPECT_EQ(id_of(id), "");
  EXPECT_NE(done("image load -i " + archive).find(kWhole), std::string::npos);
  EXPECT_EQ(done("image rm merged"), "merged\n");
  EXPECT_EQ(id_of(id), "");
  EXPECT_EQ(pull("127.0.0.1:5000/renamed:2"), id);
  EXPECT_EQ(pull("127.0.0.1:5000/team/short:3"), id);
}

TEST_F(ShortName, ThatIsRefusedListsWhatItCouldBeAndIsNotPresent) {
  const std::string id = pull(kWhole);
  EXPECT_EQ(id_of(kShort), "") << "nothing is configured: Docker Hub's";
  configure(
      "unqualified-search-registries = [\"127.0.0.1:5000\", \"127.0.0.1:5001\"]\n"
      "short-name-mode = \"enforcing\"\n");
  EXPECT_EQ(id_of(kShort), "");
  remove_image(kShort);
  EXPECT_EQ(id_of(kWhole), id);

  const std::string both = "127.0.0.1:5000/merged:latest, 127.0.0.1:5001/merged:latest";
  const auto listed = list(kShort);
  EXPECT_EQ(listed.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(listed.text().find(both), std::string::npos) << listed.text();
  const std::string pod = run_pod();
  for (const ContainerTweak& tweak : {from(kShort), from(kWhole, kShort)}) {
    const auto made =
        call(&Runtime::CreateContainer, container_request(pod, {"sleep", "1"}, tweak));
    EXPECT_EQ(made.code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_NE(made.text().find(both), std::string::npos) << made.text();
  }
  for (const char* verb : {"pull merged", "push merged", "image tag merged 127.0.0.1:5000/x:1",
                           "image tag 127.0.0.1:5000/merged merged", "image pin merged",
                           "image save -o /dev/null merged", "push 127.0.0.1:5000/merged merged"}) {
    const Ran ran = berth(verb);
    EXPECT_EQ(ran.exit_code, 1) << verb;
    EXPECT_NE(ran.out.find(both), std::string::npos) << verb << ": " << ran.out;
  }
}

}  // namespace
}  // namespace berth::node_test
