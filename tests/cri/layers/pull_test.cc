// SPDX-License-Identifier: Apache-2.0
// Promise: an image that was pushed to a real registry, pulled and mounted is the tree that was
// pushed; after a pull that is killed at any moment the next pull works.
#include <sys/wait.h>

#include <random>
#include <sstream>

#include "tests/core/image/registry/plain_name.h"
#include "tests/cri/layers/node.h"

namespace berth::cri {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

class RegistryPull : public RegistryNode {
 protected:
  // Three layers: files, one replaced and one removed, and a directory made opaque.
  void write_layers() {
    write("l1/etc/keep", "keep");
    write("l1/etc/replaced", "old");
    write("l1/etc/removed", "old");
    write("l1/data/hidden", "old");
    fs::permissions(dir_ + "/l1/data", fs::perms(0700));
    write("l2/etc/replaced", "new");
    write("l2/etc/.wh.removed", "");
    write("l3/data/.wh..wh..opq", "");
    write("l3/data/fresh", std::string(3 << 20, 'f'));
    fs::permissions(dir_ + "/l3/data", fs::perms(0751));
  }
  // The trees of layers, and of removed layers that are still being deleted.
  std::size_t trees(bool thrown_away) {
    const fs::path snapshots = dir_ + "/root/snapshots/overlay";
    std::size_t count = 0;
    for (const auto& entry :
         fs::directory_iterator(thrown_away ? snapshots / "trash" : snapshots)) {
      const std::string name = entry.path().filename();
      if (name != "meta" && name != "trash") ++count;
    }
    return count;
  }
  // Mounts a container's root, checks it, unmounts it.
  void expect_tree(ImageAgent& agent, const std::string& reference) {
    const image::ImageEntry entry = *agent.images->resolve(image::plain_name(reference));
    const std::string& top = entry.image->chain_ids.back();
    const auto mounts = agent.ring->run_until(agent.overlay->view("look", top)).value();
    ASSERT_EQ(mounts.size(), 1u);
    std::string options;
    for (const std::string& option : mounts[0].options) {
      if (option != "ro") options += (options.empty() ? "" : ",") + option;
    }
    const std::string at = dir_ + "/mnt";
    fs::create_directories(at);
    ASSERT_EQ(::mount("overlay", at.c_str(), "overlay", MS_RDONLY, options.c_str()), 0)
        << options << ": " << std::strerror(errno);
    EXPECT_EQ(read(at + "/etc/keep"), "keep");
    EXPECT_EQ(read(at + "/etc/replaced"), "new");
    EXPECT_FALSE(fs::exists(at + "/etc/removed"));
    EXPECT_FALSE(fs::exists(at + "/data/hidden"));
    EXPECT_EQ(read(at + "/data/fresh").size(), 3u << 20);
    EXPECT_EQ(fs::status(at + "/data").permissions(), fs::perms(0751));
    EXPECT_EQ(::umount2(at.c_str(), 0), 0);
    agent.ring->run_until(agent.overlay->remove("look")).value();
  }
};

TEST_F(RegistryPull, GivesTheTreeThatWasPushedInEveryFormat) {
  write_layers();
  ImageAgent agent(dir_);
  const struct {
    const char* name;
    const char* options;
  } cases[] = {
      {"app:oci-gzip", ""},
      {"app:oci-zstd", "--compression zstd"},
      {"app:oci-plain", "--compression none"},
      {"app:docker-gzip", "--format docker"},
  };
  for (const auto& c : cases) {
    push(c.name, {"l1", "l2", "l3"}, c.options);
    const std::string reference = std::string("127.0.0.1:5000/") + c.name;
    Result<image::PullResult> result = agent.pull(reference);
    ASSERT_TRUE(result.ok()) << c.name << ": " << result.error().message();
    expect_tree(agent, reference);
    EXPECT_TRUE(*agent.ring->run_until(agent.puller->remove(image::named_by_id(result->image_id))));
    EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
    EXPECT_TRUE(agent.content->list()->empty());
  }
}

TEST_F(RegistryPull, StaysAfterARestart) {
  write_layers();
  push("app:1", {"l1", "l2", "l3"}, "--config '{\"Cmd\":[\"/bin/sh\"],\"User\":\"7\"}'");
  {
    ImageAgent agent(dir_);
    ASSERT_TRUE(agent.pull("127.0.0.1:5000/app:1").ok());
  }
  ImageAgent agent(dir_);
  Result<image::ImageEntry> entry =
      agent.images->resolve(image::plain_name("127.0.0.1:5000/app:1"));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->image->config.config.user, "7");
  expect_tree(agent, "127.0.0.1:5000/app:1");
}

TEST_F(RegistryPull, AHostileLayerLeavesNothingAndIsNamed) {
  // GNU tar keeps a leading ".." only when told to.
  write("evil/x", "x");
  ASSERT_EQ(shell("tar -C " + dir_ + " -P --transform 's,^evil/x,../../escape,' -cf " + dir_ +
                  "/evil.tar evil/x"),
            0);
  write_layers();
  push("app:evil", {"l1", "evil.tar"});
  ImageAgent agent(dir_);
  Result<image::PullResult> result = agent.pull("127.0.0.1:5000/app:evil");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("entry `../../escape`"), std::string::npos)
      << result.error().message();
  EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
  EXPECT_TRUE(agent.content->list()->empty());
  EXPECT_TRUE(agent.images->list().empty());
}

TEST_F(RegistryPull, APullKilledAtAnyMomentLeavesAWorkingNode) {
  write_layers();
  std::minstd_rand random(4711);
  for (int i = 0; i < 400; ++i) {
    std::string contents(static_cast<std::size_t>(random() % 20'000), '\0');
    for (char& c : contents) c = static_cast<char>(random());
    write("l2/many/" + std::to_string(i), contents);
  }
  push("app:1", {"l1", "l2", "l3"});
  const std::string reference = "127.0.0.1:5000/app:1";
  int killed = 0;
  // A dozen rounds in CI; BERTH_KILL_ROUNDS asks for more.
  const char* asked = std::getenv("BERTH_KILL_ROUNDS");
  const int rounds = asked == nullptr ? 12 : std::atoi(asked);
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ImageAgent agent(dir_);
      ::_exit(agent.pull(reference).ok() ? 0 : 1);
    }
    ::usleep(static_cast<useconds_t>(random() % 250'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    killed += WIFSIGNALED(status) ? 1 : 0;

    ImageAgent agent(dir_, 0);
    const std::size_t images = agent.images->list().size();
    const std::size_t snapshots = agent.ring->run_until(agent.overlay->walk()).value().size();
    EXPECT_EQ(snapshots, images * 3) << "round " << round;
    EXPECT_EQ(agent.content->list()->size(), images * 5) << "round " << round;
    Result<image::PullResult> result = agent.pull(reference);
    ASSERT_TRUE(result.ok()) << result.error().message();
    expect_tree(agent, reference);
    EXPECT_TRUE(*agent.ring->run_until(agent.puller->remove(image::named_by_id(result->image_id))));
    EXPECT_TRUE(fs::is_empty(dir_ + "/root/content/ingest"));
    EXPECT_EQ(trees(false), 0u) << "round " << round;
  }
  EXPECT_GT(killed, 0);
  ImageAgent agent(dir_, 0);
  for (int i = 0; i < 3'000 && trees(true) > 0; ++i) {
    agent.ring->turn(false);
    ::usleep(10'000);
  }
  EXPECT_EQ(trees(true), 0u);
}

}  // namespace
}  // namespace berth::cri
