// SPDX-License-Identifier: Apache-2.0
// Promise: mount lists have the right layers, and a crash between any two steps leaves a whole
// snapshot or none.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/record.h"
#include "tests/snapshotter/overlay_place.h"

namespace berth::snapshotter {
namespace {

using plugins::SnapshotKind;
using plugins::SnapshotMount;
using plugins::text;
using plugins::writable_dir;

TEST(OverlayMounts, ArePureAndCoverEveryShape) {
  struct Row {
    SnapshotKind kind;
    std::vector<std::uint64_t> parents;
    const char* mounts;
  };
  const Row rows[] = {
      {SnapshotKind::active, {}, "bind /d/7/fs,rbind,rw;"},
      {SnapshotKind::active,
       {3},
       "overlay overlay,lowerdir=/d/3/fs,upperdir=/d/7/fs,volatile,workdir=/d/7/work;"},
      {SnapshotKind::active,
       {3, 2, 1},
       "overlay overlay,lowerdir=/d/3/fs:/d/2/fs:/d/1/fs,upperdir=/d/7/fs,volatile,"
       "workdir=/d/7/work;"},
      {SnapshotKind::view, {}, "bind /d/7/fs,rbind,ro;"},
      {SnapshotKind::view, {3}, "bind /d/3/fs,rbind,ro;"},
      {SnapshotKind::view, {3, 2}, "overlay overlay,lowerdir=/d/3/fs:/d/2/fs,ro;"},
  };
  const OverlayLayout layout("/d");
  for (const Row& row : rows) {
    const OverlayRecord record{7, row.kind, "", 0};
    EXPECT_EQ(text(overlay_mounts(layout, record, row.parents)), row.mounts);
  }
}

class OverlayTest : public testing::Test {
 protected:
  template <typename T>
  Result<T> run(Task<T> task) {
    return place_.ring().run_until(std::move(task));
  }
  Overlay& overlay() { return place_.snapshotter(); }
  std::string prepare(const std::string& key, const std::string& parent) {
    return writable_dir(MUST(run(overlay().prepare(key, parent))));
  }
  void commit_base() {
    prepare("extract", "");
    MUST(run(overlay().commit("base", "extract")));
  }

  OverlayPlace place_;
};

TEST_F(OverlayTest, RootOfTheTreeHasTheImagesOwnerAndMode) {
  const std::string tree = prepare("extract", "");
  ASSERT_EQ(::chmod(tree.c_str(), 01711), 0);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chown(tree.c_str(), 12, 34), 0);
    ASSERT_EQ(::chmod(tree.c_str(), 01711), 0);
  }
  MUST(run(overlay().commit("base", "extract")));
  const mode_t before = ::umask(077);
  const std::string upper = prepare("ctr", "base");
  ::umask(before);
  struct stat made {};
  ASSERT_EQ(::stat(upper.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777, 01711u);
  EXPECT_TRUE(!root || (made.st_uid == 12 && made.st_gid == 34));
}

TEST_F(OverlayTest, RootOfTheTreeHasTheImagesModeIfItsOwnerIsTheDefault) {
  const std::string tree = prepare("extract", "");
  ASSERT_EQ(::chmod(tree.c_str(), 0700), 0);
  MUST(run(overlay().commit("base", "extract")));
  const std::string upper = prepare("ctr", "base");
  struct stat made {};
  ASSERT_EQ(::stat(upper.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777, 0700u);
}

TEST_F(OverlayTest, CrashBetweenDirectoryAndRecordLeavesNothing) {
  commit_base();
  std::filesystem::create_directories(place_.path() + "/77/fs");
  place_.restart();
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.directories(), 1u);
  EXPECT_EQ(place_.in_trash(), 0u);
  // The id is not used again while the old tree may still exist.
  EXPECT_NE(prepare("ctr", "base").find("/78/"), std::string::npos);
}

TEST_F(OverlayTest, CrashBetweenTheTwoRecordsOfACommitKeepsTheSnapshotOnce) {
  prepare("extract", "");
  std::string active;
  place_.restart_with(
      [&](store::State& state) { active = *MUST(state.get(kActiveTable, "extract")); });
  MUST(run(overlay().commit("base", "extract")));
  place_.restart_with([&](store::State& state) {
    MUST(state.put(kActiveTable, "extract", active));  // as before the second step
  });
  EXPECT_EQ(MUST(run(overlay().stat("base"))).kind, SnapshotKind::committed);
  EXPECT_TRUE(run(overlay().stat("extract")).error().is(Errc::not_found));
  EXPECT_EQ(place_.directories(), 1u);
}

TEST_F(OverlayTest, CrashBetweenRecordAndDirectoryOfARemoveIsFinishedLater) {
  commit_base();
  prepare("ctr", "base");
  place_.restart_with([](store::State& state) { MUST(state.erase(kActiveTable, "ctr")); });
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.directories(), 1u);
}

TEST_F(OverlayTest, RebootKeepsImagesAndDropsContainers) {
  commit_base();
  prepare("ctr", "base");
  place_.reboot();
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_TRUE(run(overlay().stat("ctr")).error().is(Errc::not_found));
  EXPECT_TRUE(run(overlay().stat("base")).ok());
  EXPECT_EQ(place_.directories(), 1u);
}

// "A failed read never deletes": the tree of a damaged record looks like one without a record.
TEST_F(OverlayTest, DamagedRecordKeepsItsTree) {
  commit_base();
  prepare("ctr", "base");
  place_.restart_with([](store::State& state) {
    MUST(state.put({kActiveTable.name, 99}, "ctr", "of another version"));
  });
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.directories(), 2u);
  EXPECT_TRUE(run(overlay().stat("ctr")).error().is(Errc::not_found));
}

TEST_F(OverlayTest, SecondRecoverChangesNothing) {
  commit_base();
  prepare("ctr", "base");
  place_.restart();
  place_.restart();
  EXPECT_EQ(place_.directories(), 2u);
  EXPECT_EQ(MUST(run(overlay().walk())).size(), 2u);
}

TEST_F(OverlayTest, RemovedTreesAreDeletedInTheBackgroundHoweverDeepAndWide) {
  const std::string tree = prepare("ctr", "");
  int at = ::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(at, 0);
  for (int depth = 0; depth < 2000; ++depth) {  // longer than PATH_MAX as a path
    ASSERT_EQ(::mkdirat(at, "deep", 0000), 0);
    const int next = ::openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(next, 0);
    ::close(at);
    at = next;
  }
  ::close(at);
  for (int i = 0; i < 3000; ++i) std::ofstream(tree + "/file-" + std::to_string(i)) << "x";
  const std::string outside = place_.path() + "/../outside";
  std::ofstream(outside) << "kept";
  std::filesystem::create_symlink("../../../outside", tree + "/link");
  MUST(run(overlay().remove("ctr")));
  EXPECT_EQ(place_.directories(), 0u) << "the directory must be moved away at once";
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.in_trash(), 0u);
  EXPECT_TRUE(std::filesystem::exists(outside));
}

TEST_F(OverlayTest, UnfinishedDeletionIsContinuedAfterARestart) {
  const std::string tree = prepare("ctr", "");
  for (int i = 0; i < 5000; ++i) std::ofstream(tree + "/file-" + std::to_string(i)) << "x";
  MUST(run(overlay().remove("ctr")));
  place_.stop();
  EXPECT_EQ(place_.in_trash(), 1u) << "closing does not wait for everything";
  place_.start();
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.in_trash(), 0u);
}

Task<void> pause_a_little(Ring& ring) {
  co_await ring.sleep_until(Deadline::after_ms(10));
}

TEST_F(OverlayTest, TreesAreMadeAheadUsedAndSweptAtTheNextStart) {
  place_.ready_trees = 8;
  place_.restart();
  for (int i = 0; i < 500 && place_.directories() < 8; ++i)
    MUST(run(pause_a_little(place_.ring())));
  EXPECT_EQ(place_.directories(), 8u);
  for (int i = 0; i < 20; ++i) prepare("ctr-" + std::to_string(i), "");
  place_.ready_trees = 0;
  place_.restart();
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_EQ(place_.directories(), 20u);
}

TEST_F(OverlayTest, UsageCountsAFileWithTwoNamesOnceAndFollowsNoLink) {
  const std::string tree = prepare("ctr", "");
  std::ofstream(tree + "/a") << std::string(1 << 16, 'x') << std::flush;
  const auto one_name = MUST(run(overlay().usage("ctr")));
  std::filesystem::create_hard_link(tree + "/a", tree + "/b");
  std::filesystem::create_symlink("/", tree + "/root");
  const auto more = MUST(run(overlay().usage("ctr")));
  EXPECT_EQ(more.inodes, one_name.inodes + 1) << "the symbolic link itself";
  EXPECT_LE(more.bytes, one_name.bytes + 4096);
}

Task<void> prepare_on_base(Overlay& overlay, std::string key) {
  co_await overlay.prepare(std::move(key), "base");
}

TEST_F(OverlayTest, ManyConcurrentPreparesGetTreesOfTheirOwn) {
  commit_base();
  std::vector<std::string> failures;
  Scope scope(place_.ring().ready(),
              [&failures](Error error) { failures.push_back(error.message()); });
  for (int i = 0; i < 64; ++i) {
    const std::string key = "ctr-" + std::to_string(i);
    scope.spawn(prepare_on_base(overlay(), key));
  }
  const auto all = [&scope]() -> Task<void> { co_await scope.close(); };
  MUST(run(all()));
  EXPECT_TRUE(failures.empty()) << failures.front();
  EXPECT_EQ(place_.directories(), 65u);
}

TEST_F(OverlayTest, PrepareFailsIfItsParentIsBeingRemoved) {
  commit_base();
  Errc outcome = Errc::unknown;
  Scope scope(place_.ring().ready(), [&outcome](Error error) { outcome = error.code; });
  scope.spawn(overlay().remove("base"));
  scope.spawn(prepare_on_base(overlay(), "ctr"));
  const auto all = [&scope]() -> Task<void> { co_await scope.close(); };
  MUST(run(all()));
  EXPECT_EQ(outcome, Errc::not_found);
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_TRUE(MUST(run(overlay().walk())).empty());
  EXPECT_EQ(place_.directories(), 0u);
}

// The other order: the child has found its parent and waits for its directories.
TEST_F(OverlayTest, PrepareFailsIfItsParentIsRemovedMeanwhile) {
  commit_base();
  Errc outcome = Errc::unknown;
  Scope scope(place_.ring().ready(), [&outcome](Error error) { outcome = error.code; });
  scope.spawn(prepare_on_base(overlay(), "ctr"));
  scope.spawn(overlay().remove("base"));
  const auto all = [&scope]() -> Task<void> { co_await scope.close(); };
  MUST(run(all()));
  EXPECT_EQ(outcome, Errc::not_found);
  MUST(run(overlay().wait_until_deleted()));
  EXPECT_TRUE(MUST(run(overlay().walk())).empty());
  EXPECT_EQ(place_.directories(), 0u);
}

}  // namespace
}  // namespace berth::snapshotter
