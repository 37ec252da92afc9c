// SPDX-License-Identifier: Apache-2.0
// Promise: when the disk is full at any stage, a pull fails with an error that names the object,
// frees the space it took, and the agent can still pull: a small image at once, the same image when
// there is room again. On tmpfs, which refuses a page or an inode, and on ext4, which allocates
// blocks later. An image that was not written to disk, as only fsync(2) reports, is removed.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/cri/layers/node.h"
#include "tests/cri/layers/small_disk.h"

namespace berth::cri {
namespace {

// A node whose root directory is a small disk; its state directory is not on it.
class FullDisk : public RegistryNode {
 protected:
  void SetUp() override {
    RegistryNode::SetUp();
    if (dir_.empty()) return;
    // Random bytes in many files and in one: documents, blobs, trees and records all need room.
    for (int i = 0; i < 200; ++i) write_noise("l1/many/" + std::to_string(i), 5'000, 100u + i);
    write_noise("l2/one", 2 << 20, 7);
    push("app:1", {"l1", "l2"});
    write("tiny/file", "tiny");
    push("app:2", {"tiny"});
    // Its mounts are this process' alone, not the registry's.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    fs::create_directories(dir_ + "/disk");
    ASSERT_EQ(::mount("disk", (dir_ + "/disk").c_str(), "tmpfs", 0, "size=128m"), 0);
  }
  void TearDown() override {
    if (dir_.empty()) return;
    EXPECT_EQ(::umount2((dir_ + "/disk").c_str(), 0), 0);
    RegistryNode::TearDown();
  }
  static constexpr std::uint64_t kBlock = 4096;

  std::string root() const { return dir_ + "/small/root"; }
  std::string image() const { return dir_ + "/disk/image"; }
  static std::string big() { return "127.0.0.1:5000/app:1"; }
  static std::string tiny() { return "127.0.0.1:5000/app:2"; }
  void forget_state() { fs::remove_all(dir_ + "/small/state"); }
  void remove(ImageAgent& agent, const Result<image::PullResult>& pulled) {
    Result<bool> removed =
        agent.ring->run_until(agent.puller->remove(image::named_by_id(pulled->image_id)));
    EXPECT_TRUE(removed.ok() && *removed) << (removed.ok() ? "absent" : removed.error().message());
  }

  // Pulls the big image, which may not fit, and removes it. True: the pull succeeded.
  bool try_big(ImageAgent& agent, const SmallDisk& disk, const std::string& what) {
    SCOPED_TRACE(what);
    const SmallDisk::Used before = disk.used();
    Result<image::PullResult> result = agent.pull(big());
    if (result.ok()) {
      remove(agent, result);
    } else {
      const std::string text = result.error().message();
      EXPECT_TRUE(result.error().is(Errc::resource_exhausted)) << text;
    }
    expect_given_back(agent, disk, before);
    return result.ok();
  }
  static void expect_comes(ImageAgent& agent, const std::string& reference) {
    Result<image::PullResult> result = agent.pull(reference);
    EXPECT_TRUE(result.ok()) << result.error().message();
  }
  // Trees are deleted later; databases and directories keep the blocks they once had.
  static void expect_given_back(ImageAgent& agent, const SmallDisk& disk,
                                const SmallDisk::Used& before) {
    EXPECT_TRUE(agent.images->list().empty());
    EXPECT_TRUE(agent.content->list()->empty());
    EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
    constexpr std::uint64_t kRecords = 256 << 10;
    SmallDisk::Used now = disk.used();
    for (int i = 0; i < 200; ++i) {
      if (now.bytes <= before.bytes + kRecords && now.inodes <= before.inodes) return;
      agent.ring->turn(false);
      ::usleep(10'000);
      now = disk.used();
    }
    ADD_FAILURE() << before.bytes << " -> " << now.bytes << " bytes, " << before.inodes << " -> "
                  << now.inodes << " inodes";
  }

  bool pull_on_tmpfs(const std::string& options) {
    forget_state();
    const SmallDisk disk = SmallDisk::tmpfs(root(), options);
    ImageAgent agent(dir_ + "/small", 0);
    const bool came = try_big(agent, disk, options);
    expect_comes(agent, tiny());
    return came;
  }
  // With `bytes` left of an ext4, and then with all of it.
  bool pull_on_ext4(std::uint64_t bytes) {
    forget_state();
    SmallDisk disk = SmallDisk::ext4(root(), image(), 32 << 20);
    ImageAgent agent(dir_ + "/small", 0);
    disk.leave(bytes);
    const bool came = try_big(agent, disk, std::to_string(bytes) + " bytes left");
    disk.make_room();
    expect_comes(agent, big());
    return came;
  }
};

TEST_F(FullDisk, NoSpaceAtAnyStageIsACleanErrorAndFreed) {
  int failed = 0;
  int came = 0;
  // From too little for the first blob to enough for all, so that every stage fails once.
  for (int kib = 700; kib <= 9'000; kib += kib < 4'000 ? 150 : 500) {
    ++(pull_on_tmpfs("size=" + std::to_string(kib) + "k") ? came : failed);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(failed, 10);
  EXPECT_GT(came, 0);
}

TEST_F(FullDisk, NoInodesAtAnyStageIsACleanErrorAndFreed) {
  int failed = 0;
  int came = 0;
  for (int inodes = 70; inodes <= 400; inodes += 15) {
    ++(pull_on_tmpfs("size=64m,nr_inodes=" + std::to_string(inodes)) ? came : failed);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(failed, 5);
  EXPECT_GT(came, 0);
}

TEST_F(FullDisk, NoBlocksOnExt4AreACleanErrorAndFreed) {
  if (!SmallDisk::why_no_loop().empty()) GTEST_SKIP() << SmallDisk::why_no_loop();
  int failed = 0;
  std::uint64_t too_few = 16 << 10;
  std::uint64_t enough = 8 << 20;
  for (std::uint64_t bytes = too_few; bytes < enough; bytes += 500 << 10) {
    if (pull_on_ext4(bytes)) {
      enough = bytes;
    } else {
      ++failed;
      too_few = bytes;
    }
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(failed, 5);
  // The last steps need few blocks, so search the limit to the block.
  while (enough - too_few > kBlock) {
    const std::uint64_t bytes = (too_few + enough) / 2 / kBlock * kBlock;
    (pull_on_ext4(bytes) ? enough : too_few) = bytes;
  }
  for (int i = 1; i <= 8; ++i) pull_on_ext4(too_few - i * kBlock);
}

// fsync fails as on a disk that could not write delayed blocks. LMDB uses fdatasync.
void refuse_sync() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_syncfs, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof program / sizeof program[0], program};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST_F(FullDisk, AnImageThatWasNotWrittenIsGoneAndCanBePulledAgain) {
  const std::string at = dir_ + "/disk";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    refuse_sync();
    {
      ImageAgent agent(at, 0);
      expect_comes(agent, big());
      agent.ring->run_until(agent.puller->synced()).value();
      EXPECT_TRUE(agent.images->list().empty());
      EXPECT_TRUE(agent.content->list()->empty());
      EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
      expect_comes(agent, tiny());
      agent.ring->run_until(agent.puller->synced()).value();
      EXPECT_TRUE(agent.images->list().empty());
    }
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ImageAgent agent(at, 0);
  expect_comes(agent, big());
  agent.ring->run_until(agent.puller->synced()).value();
  EXPECT_EQ(agent.images->list().size(), 1u);
  EXPECT_TRUE(agent.images->unsynced().empty());
}

}  // namespace
}  // namespace berth::cri
