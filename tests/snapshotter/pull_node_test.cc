// SPDX-License-Identifier: Apache-2.0
// Promise: pulls on a whole image side share what they have in common, and one that finds no room
// fails in words, gives back what it took, and leaves an agent that can pull the next image.
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <map>
#include <random>
#include <regex>
#include <sstream>

#include "core/task/scope.h"
#include "tests/snapshotter/unpack_node.h"

namespace berth::snapshotter {
namespace {

const auto* const kNetwork = testing::AddGlobalTestEnvironment(new image::OwnNetwork);

Task<void> keep(Task<image::PullResult> pull, Result<image::PullResult>& out) {
  out = co_await std::move(pull).result();
}

Task<void> close_scope(Scope& scope) {
  co_await scope.close();
}

class PullNode : public RegistryNode {
 protected:
  void SetUp() override {
    ASSERT_EQ(::setenv("BERTH_REGISTRY_ACCESS_LOG", "1", 1), 0);
    RegistryNode::SetUp();
  }
  // Bytes that do not compress, so that a layer is as big as it looks.
  void write_noise(const std::string& path, std::size_t size, unsigned seed) {
    std::minstd_rand random(seed);
    std::string contents(size, '\0');
    for (char& c : contents) c = static_cast<char>(random() >> 8);
    write(path, contents);
  }
  // How often each blob was sent, by the registry's own log.
  std::map<std::string, int> blobs_sent() {
    std::ifstream log(dir_ + "/registry/log");
    std::stringstream all;
    all << log.rdbuf();
    const std::string text = all.str();
    const std::regex get(R"("GET /v2/[^ ]*/blobs/(sha256:[0-9a-f]{64}) )");
    std::map<std::string, int> sent;
    for (std::sregex_iterator it(text.begin(), text.end(), get), end; it != end; ++it) {
      ++sent[(*it)[1]];
    }
    return sent;
  }
  static std::string reference(int image) { return "127.0.0.1:5000/app:" + std::to_string(image); }
};

TEST_F(PullNode, ThirtyTwoPullsOfEightOverlappingImagesFetchEveryBlobOnce) {
  write_noise("base/base", 3 << 20, 1);
  for (int i = 0; i < 4; ++i) write_noise("mid" + std::to_string(i) + "/mid", 1 << 20, 10u + i);
  for (int i = 0; i < 8; ++i) {
    const std::string number = std::to_string(i);
    write("top" + number + "/which", number);
    push("app:" + number, {"base", "mid" + std::to_string(i / 2), "top" + number});
  }
  ImageAgent agent(dir_);
  std::vector<Result<image::PullResult>> results(32, make_error(Errc::unknown, "did not run"));
  Scope scope(agent.ring->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  for (int i = 0; i < 32; ++i) {
    image::PullRequest request;
    request.reference = reference(i % 8);
    scope.spawn(keep(agent.puller->pull(std::move(request)), results[static_cast<unsigned>(i)]));
  }
  agent.ring->run_until(close_scope(scope)).value();
  for (const auto& result : results) ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(agent.images->list().size(), 8u);
  EXPECT_EQ(agent.ring->run_until(agent.overlay->walk()).value().size(), 1u + 4u + 8u);
  const std::map<std::string, int> sent = blobs_sent();
  // Layers and configurations.
  EXPECT_EQ(sent.size(), 1u + 4u + 8u + 8u);
  for (const auto& [digest, times] : sent) EXPECT_EQ(times, 1) << digest;
}

// A node whose root directory is a small tmpfs; the state directory is another one, as on nodes.
class FullDisk : public PullNode {
 protected:
  struct Used {
    std::uint64_t blocks;
    std::uint64_t inodes;
  };
  void SetUp() override {
    PullNode::SetUp();
    if (dir_.empty()) return;
    // Random bytes in many files and in one: documents, blobs, trees and records all need room.
    for (int i = 0; i < 200; ++i) write_noise("l1/many/" + std::to_string(i), 5'000, 100u + i);
    write_noise("l2/one", 2 << 20, 7);
    push("app:1", {"l1", "l2"});
    write("tiny/file", "tiny");
    push("app:2", {"tiny"});
  }
  // The node, with `options` for the tmpfs: the big image, which may find no room, then the small
  // one, which must. Gives whether the big one came.
  bool pull_with(const std::string& options) {
    const std::string at = dir_ + "/small/root";
    fs::remove_all(dir_ + "/small/state");
    fs::create_directories(at);
    EXPECT_EQ(::mount("small", at.c_str(), "tmpfs", 0, options.c_str()), 0);
    bool came = false;
    {
      ImageAgent agent(dir_ + "/small", 0);
      const Used before = used(at);
      Result<image::PullResult> big = agent.pull(reference(1));
      came = big.ok();
      if (came) {
        EXPECT_TRUE(
            *agent.ring->run_until(agent.puller->remove(image::named_by_id(big->image_id))));
      } else {
        EXPECT_TRUE(big.error().is(Errc::resource_exhausted))
            << options << ": " << big.error().message();
      }
      expect_given_back(agent, at, before, options);
      Result<image::PullResult> small = agent.pull(reference(2));
      EXPECT_TRUE(small.ok()) << options << ": " << small.error().message();
    }
    EXPECT_EQ(::umount2(at.c_str(), 0), 0);
    return came;
  }
  static Used used(const std::string& at) {
    struct statfs status {};
    EXPECT_EQ(::statfs(at.c_str(), &status), 0);
    return {status.f_blocks - status.f_bfree, status.f_files - status.f_ffree};
  }
  // Trees are deleted behind; the stores of records keep pages they once had.
  static void expect_given_back(ImageAgent& agent, const std::string& at, const Used& before,
                                const std::string& options) {
    EXPECT_TRUE(agent.images->list().empty());
    EXPECT_TRUE(agent.content->list()->empty());
    EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
    constexpr std::uint64_t kRecordPages = 64;
    Used now = used(at);
    for (int i = 0; i < 200; ++i) {
      if (now.blocks <= before.blocks + kRecordPages && now.inodes <= before.inodes) {
        return;
      }
      agent.ring->turn(false);
      ::usleep(10'000);
      now = used(at);
    }
    ADD_FAILURE() << options << ": " << before.blocks << " -> " << now.blocks << " pages, "
                  << before.inodes << " -> " << now.inodes << " inodes";
  }
};

TEST_F(FullDisk, NoSpaceAtAnyStageIsACleanErrorAndGivenBack) {
  int failed = 0;
  int came = 0;
  // From too little for the first blob to enough for all: every stage meets the end once.
  for (int kib = 700; kib <= 9'000; kib += kib < 4'000 ? 150 : 500) {
    ++(pull_with("size=" + std::to_string(kib) + "k") ? came : failed);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(failed, 10);
  EXPECT_GT(came, 0);
}

TEST_F(FullDisk, NoInodesAtAnyStageIsACleanErrorAndGivenBack) {
  int failed = 0;
  int came = 0;
  for (int inodes = 70; inodes <= 400; inodes += 15) {
    ++(pull_with("size=64m,nr_inodes=" + std::to_string(inodes)) ? came : failed);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(failed, 5);
  EXPECT_GT(came, 0);
}

}  // namespace
}  // namespace berth::snapshotter
