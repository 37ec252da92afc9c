// SPDX-License-Identifier: Apache-2.0
#include "core/namespaces/namespace_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>

#include <set>

namespace berth {
namespace {

constexpr int kFlags = CLONE_NEWIPC | CLONE_NEWUTS;

ino_t inode_of(int fd) {
  struct stat info {};
  EXPECT_EQ(::fstat(fd, &info), 0);
  return info.st_ino;
}

Task<void> until_ready(Ring& ring, NamespacePool& pool, std::size_t count) {
  for (int attempt = 0; attempt < 200 && pool.ready() < count; ++attempt) {
    const Deadline soon = Deadline::after_ms(5);
    co_await ring.sleep_until(soon);
  }
}

class NamespacePoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Ring>> made = Ring::create();
    ASSERT_TRUE(made.ok()) << made.error().message();
    ring_ = std::move(made).value();
  }
  sys::NamespaceSet take(NamespacePool& pool) {
    Result<TakenNamespaces> taken = ring_->run_until(pool.take());
    EXPECT_TRUE(taken.ok()) << taken.error().message();
    last_was_inline_ = taken->made_inline;
    return std::move(taken->set);
  }
  void close(NamespacePool& pool) { EXPECT_TRUE(ring_->run_until(pool.close()).ok()); }

  std::unique_ptr<Ring> ring_;
  bool last_was_inline_ = false;
};

TEST_F(NamespacePoolTest, NoSetIsEverHandedOutTwice) {
  NamespacePool pool(*ring_, kFlags, 4);
  std::set<ino_t> seen;
  std::vector<sys::NamespaceSet> kept;  // an inode number is only unique while its namespace lives
  for (int i = 0; i < 20; ++i) {
    kept.push_back(take(pool));
    EXPECT_TRUE(seen.insert(inode_of(kept.back().ipc.get())).second);
    EXPECT_TRUE(seen.insert(inode_of(kept.back().uts.get())).second);
    EXPECT_FALSE(kept.back().netns.valid());
  }
  close(pool);
}

TEST_F(NamespacePoolTest, PrefilledPoolHandsOutWithoutMaking) {
  NamespacePool pool(*ring_, kFlags, 4);
  pool.prefill();
  ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 4)).ok());
  EXPECT_EQ(pool.ready(), 4U);
  take(pool);
  EXPECT_FALSE(last_was_inline_);
  EXPECT_EQ(pool.ready(), 3U);
  close(pool);
}

TEST_F(NamespacePoolTest, RefillsToItsSizeAndNoFurther) {
  NamespacePool pool(*ring_, kFlags, 6);
  for (int i = 0; i < 3; ++i) take(pool);
  ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 6)).ok());
  ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 7)).ok());
  EXPECT_EQ(pool.ready(), 6U);
  close(pool);
}

TEST_F(NamespacePoolTest, IsFullAgainAfterOneTakeAndAfterHalfIsGone) {
  NamespacePool pool(*ring_, kFlags, 4);
  pool.prefill();
  ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 4)).ok());
  for (const int takes : {1, 2, 4}) {
    for (int i = 0; i < takes; ++i) take(pool);
    EXPECT_LT(pool.ready(), 4U);
    ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 4)).ok());
    EXPECT_EQ(pool.ready(), 4U) << "after " << takes;
  }
  close(pool);
}

TEST_F(NamespacePoolTest, ClosesWhileItWaitsToRefill) {
  NamespacePool pool(*ring_, kFlags, 4);
  pool.prefill();
  ASSERT_TRUE(ring_->run_until(until_ready(*ring_, pool, 4)).ok());
  take(pool);
  close(pool);
  EXPECT_EQ(pool.ready(), 0U);
}

TEST_F(NamespacePoolTest, PoolOfSizeZeroMakesOnDemandAndSaysSo) {
  NamespacePool pool(*ring_, kFlags, 0);
  EXPECT_TRUE(take(pool).ipc.valid());
  EXPECT_TRUE(last_was_inline_);
  EXPECT_EQ(pool.ready(), 0U);
  close(pool);
}

}  // namespace
}  // namespace berth
