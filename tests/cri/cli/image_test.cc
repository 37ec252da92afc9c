// SPDX-License-Identifier: Apache-2.0
// Claims about the image verbs, from the command line to the exit code, with a runtime that has
// berth.v1 and with one that has only the CRI.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cri/cli/verbs.h"
#include "tests/cri/cli/fake_images.h"
#include "tests/cri/cli/fake_runtime.h"
#include "tests/cri/cli/outcome.h"

namespace berth::cli {
namespace {

using test::berth;
using test::FakeImages;
using test::FakeRuntime;
using test::ImagesScript;
using test::Outcome;
using test::Script;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Pull, WithoutATerminalPrintsOneLineAtTheEnd) {
  ImagesScript script;
  script.pull.resize(3);
  script.pull[0].add_layers()->set_digest("sha256:abc");
  script.pulled.set_image_id("sha256:1234");
  script.pulled.set_fetched_bytes(5000);
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  const Outcome outcome = berth(fake, {"pull", "--creds", "me:secret:word", "app:1"});
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.out.find("app:1: sha256:1234 5kB in "), 0u) << outcome.out;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1);
  EXPECT_EQ(images.pull_request().auth().username(), "me");
  EXPECT_EQ(images.pull_request().auth().password(), "secret:word");
  EXPECT_EQ(berth(fake, {"pull", "-q", "app:1"}).out, "sha256:1234\n");
  EXPECT_EQ(fake.pulls(), 0);
}

TEST(Pull, ARuntimeWithoutBerthV1PullsThroughTheCri) {
  const FakeRuntime fake{Script{}};
  const Outcome outcome = berth(fake, {"pull", "app:1"});
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.out, "app:1: sha256:app:1\n");
  EXPECT_EQ(fake.pulls(), 1);
}

TEST(Pull, AServerErrorIsReportedWithoutARetryThroughTheCri) {
  ImagesScript script;
  script.pull_status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no such tag");
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  const Outcome outcome = berth(fake, {"pull", "app:1"});
  EXPECT_EQ(outcome.error, "pull: no such tag");
  EXPECT_EQ(outcome.code, Errc::not_found);
  EXPECT_EQ(fake.pulls(), 0);
}

TEST(ImageVerbs, ThatNeedBerthdFailOnAnotherRuntimeWithAClearError) {
  const FakeRuntime fake{Script{}};
  const std::string archive = fake.directory() + "/x.tar";
  std::ofstream(archive) << "x";
  const std::vector<std::vector<std::string>> verbs = {
      {"image", "tag", "a", "b"},
      {"image", "pin", "a"},
      {"image", "unpin", "a"},
      {"image", "prune"},
      {"image", "save", "-o", fake.directory() + "/out.tar", "a"},
      {"image", "load", "-i", archive}};
  for (const std::vector<std::string>& words : verbs) {
    const Outcome outcome = berth(fake, words);
    EXPECT_EQ(outcome.code, Errc::unimplemented) << words[1];
    EXPECT_EQ(outcome.error, "image " + words[1] + ": `berth image " + words[1] +
                                 "` needs berthd: the runtime at " + fake.endpoint() +
                                 " does not offer berth.v1");
  }
  EXPECT_FALSE(std::filesystem::exists(fake.directory() + "/out.tar"));
  EXPECT_FALSE(std::filesystem::exists(fake.directory() + "/out.tar.partial"));
}

TEST(ImageSave, WritesTheWholeArchiveUnderItsNameOrNothing) {
  ImagesScript script;
  script.archive = std::string(300'000, 'x') + "end";
  {
    FakeImages images(script);
    const FakeRuntime fake(Script{}, &images);
    const std::string path = fake.directory() + "/a.tar";
    const Outcome outcome =
        berth(fake, {"image", "save", "--format", "docker", "-o", path, "app:1", "app:2"});
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(read_file(path), script.archive);
    EXPECT_EQ(images.save_request().images_size(), 2);
    EXPECT_EQ(images.save_request().format(), berth::v1::SaveRequest::DOCKER_ARCHIVE);
    EXPECT_EQ(berth(fake, {"image", "save", "app:1"}).out, script.archive);
  }
  script.save_status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "blob is gone");
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  const std::string path = fake.directory() + "/a.tar";
  EXPECT_EQ(berth(fake, {"image", "save", "-o", path, "app:1"}).error, "image save: blob is gone");
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(ImageLoad, SendsTheFileAndPrintsWhatItHeld) {
  ImagesScript script;
  berth::v1::LoadedImage* loaded = script.loaded.add_images();
  loaded->set_image_id("sha256:1");
  loaded->add_names("app:1");
  loaded->add_names("app:2");
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  const std::string path = fake.directory() + "/a.tar";
  const std::string archive(700'001, 'y');
  std::ofstream(path) << archive;
  const Outcome outcome = berth(fake, {"image", "load", "-i", path});
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.out, "sha256:1  app:1  app:2\n");
  EXPECT_EQ(images.received(), archive);
  EXPECT_EQ(berth(fake, {"image", "load", "-i", path + ".none"}).code, Errc::not_found);
}

TEST(ImageLoad, ReportsTheServersError) {
  ImagesScript script;
  script.load_status = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "archive: no");
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  const std::string path = fake.directory() + "/a.tar";
  std::ofstream(path) << "x";
  EXPECT_EQ(berth(fake, {"image", "load", "-i", path}).error, "image load: archive: no");
}

TEST(ImageNames, TagAndPinAskTheServer) {
  FakeImages images(ImagesScript{});
  const FakeRuntime fake(Script{}, &images);
  EXPECT_EQ(berth(fake, {"image", "tag", "app:1", "other/app"}).exit_code, 0);
  EXPECT_EQ(images.tag_request().image(), "app:1");
  EXPECT_EQ(images.tag_request().target(), "other/app");
  EXPECT_EQ(berth(fake, {"image", "pin", "app:1"}).exit_code, 0);
  EXPECT_TRUE(images.pin_request().pinned());
  EXPECT_EQ(berth(fake, {"image", "unpin", "app:1"}).exit_code, 0);
  EXPECT_FALSE(images.pin_request().pinned());
}

TEST(ImagePrune, PrintsTheRemovedImagesAndTheFreedBytes) {
  ImagesScript script;
  berth::v1::PrunedImage* image = script.pruned.add_images();
  image->set_image_id("sha256:" + std::string(64, 'c'));
  image->set_size(1'000'000);
  image->add_names("app:1");
  script.pruned.set_freed_bytes(2'000'000);
  FakeImages images(script);
  const FakeRuntime fake(Script{}, &images);
  EXPECT_EQ(berth(fake, {"image", "prune", "-a"}).out,
            "removed cccccccccccc  app:1  1MB\nfreed 2MB\n");
  EXPECT_TRUE(images.prune_request().all());
  EXPECT_EQ(berth(fake, {"image", "prune", "-n"}).out, "would remove cccccccccccc  app:1  1MB\n");
  EXPECT_TRUE(images.prune_request().dry_run());
}

TEST(ImageRm, RefusesWhatAContainerUsesAndAnIdOfManyTagsUnlessForced) {
  Script script;
  script.repo_tags = {"app:1", "app:2"};
  const FakeRuntime fake(script);
  EXPECT_EQ(berth(fake, {"image", "rm", "aaaa"}).code, Errc::failed_precondition);
  EXPECT_TRUE(fake.removed_images().empty());
  EXPECT_EQ(berth(fake, {"image", "rm", "app:1"}).exit_code, 0);
  EXPECT_EQ(fake.removed_images(), std::vector<std::string>{"app:1"});
  ASSERT_EQ(
      berth(fake, {"run", "-d", "--name", "web", "--log-dir", fake.directory() + "/logs", "app:2"})
          .exit_code,
      0);
  const Outcome used = berth(fake, {"image", "rm", "app:2"});
  EXPECT_EQ(used.code, Errc::failed_precondition);
  EXPECT_NE(used.error.find("is used by web ("), std::string::npos) << used.error;
  EXPECT_EQ(berth(fake, {"image", "rm", "-f", "app:2", "aaaa"}).exit_code, 0);
  EXPECT_EQ(fake.removed_images(), (std::vector<std::string>{"app:1", "app:2", "aaaa"}));
}

TEST(ImageRm, AMissingImageIsNotFound) {
  Script script;
  script.image_present = false;
  const FakeRuntime fake(script);
  const Outcome outcome = berth(fake, {"image", "rm", "app:1"});
  EXPECT_EQ(outcome.error, "image rm: no image `app:1`");
  EXPECT_EQ(outcome.code, Errc::not_found);
}

TEST(ImageInspect, PrintsStatusAndInfoAsJson) {
  const FakeRuntime fake{Script{}};
  const Outcome outcome = berth(fake, {"image", "inspect", "app:1"});
  EXPECT_EQ(outcome.error, "");
  EXPECT_NE(outcome.out.find("\"sha256:app:1\""), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\"size\": 7"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace berth::cli
