// SPDX-License-Identifier: Apache-2.0
// What plugins/api/snapshotter.h promises, for any implementation: include this header in a test,
// derive a factory, instantiate. It looks at trees through the directories that the mounts
// describe, so it needs no privilege beyond the snapshotter's own.
//
//   struct Mine : SnapshotterFactory { ... };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mine, SnapshotterSuite, Mine);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/snapshotter_factory.h"

namespace berth::plugins {

template <typename Factory>
class SnapshotterSuite : public testing::Test {
 protected:
  template <typename T>
  Result<T> run(Task<T> task) {
    return factory_.ring().run_until(std::move(task));
  }
  Snapshotter& snapshots() { return factory_.snapshotter(); }

  // A committed snapshot whose tree has one file, named like it.
  void commit_layer(const std::string& name, const std::string& parent) {
    auto mounts = run(snapshots().prepare("extract-" + name, parent));
    ASSERT_TRUE(mounts.ok()) << mounts.error().message();
    std::ofstream(writable_dir(*mounts) + "/" + name) << name;
    auto committed = run(snapshots().commit(name, "extract-" + name));
    ASSERT_TRUE(committed.ok()) << committed.error().message();
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    const std::vector<SnapshotInfo> walked = MUST(run(snapshots().walk()));
    for (const SnapshotInfo& info : walked) all.push_back(info.name);
    std::sort(all.begin(), all.end());
    return all;
  }
  template <typename T>
  void expect_error(Result<T> outcome, Errc code) {
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, code) << outcome.error().message();
  }

  Factory factory_;
};

TYPED_TEST_SUITE_P(SnapshotterSuite);

TYPED_TEST_P(SnapshotterSuite, WrittenTreeIsThereAfterCommitAndRestart) {
  this->commit_layer("one", "");
  this->factory_.restart();
  auto view = this->run(this->snapshots().view("look", "one"));
  ASSERT_TRUE(view.ok()) << view.error().message();
  std::ifstream file((*view)[0].source + "/one");
  EXPECT_TRUE(file.good()) << "a view of one layer is that layer's directory";
  EXPECT_EQ(this->run(this->snapshots().stat("one"))->kind, SnapshotKind::committed);
}

TYPED_TEST_P(SnapshotterSuite, StatTellsNameParentKindAndTime) {
  const std::int64_t before = realtime_now_ns();
  this->commit_layer("base", "");
  ASSERT_TRUE(this->run(this->snapshots().prepare("ctr", "base")).ok());
  ASSERT_TRUE(this->run(this->snapshots().view("look", "base")).ok());
  auto container = this->run(this->snapshots().stat("ctr"));
  ASSERT_TRUE(container.ok());
  EXPECT_EQ(container->name, "ctr");
  EXPECT_EQ(container->parent, "base");
  EXPECT_EQ(container->kind, SnapshotKind::active);
  EXPECT_GE(container->created_at_ns, before);
  EXPECT_LE(container->created_at_ns, realtime_now_ns());
  EXPECT_EQ(this->run(this->snapshots().stat("look"))->kind, SnapshotKind::view);
  EXPECT_EQ(this->run(this->snapshots().stat("base"))->parent, "");
}

TYPED_TEST_P(SnapshotterSuite, MountsAreWhatPrepareAnsweredAlsoAfterRestart) {
  this->commit_layer("base", "");
  auto first = this->run(this->snapshots().prepare("ctr", "base"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(text(*this->run(this->snapshots().mounts("ctr"))), text(*first));
  this->factory_.restart();
  EXPECT_EQ(text(*this->run(this->snapshots().mounts("ctr"))), text(*first));
}

TYPED_TEST_P(SnapshotterSuite, ViewIsReadOnlyAndCannotBeCommitted) {
  this->commit_layer("base", "");
  auto view = this->run(this->snapshots().view("look", "base"));
  const auto& options = (*view)[0].options;
  EXPECT_NE(std::find(options.begin(), options.end(), "ro"), options.end());
  this->expect_error(this->run(this->snapshots().commit("x", "look")), Errc::failed_precondition);
  EXPECT_TRUE(this->run(this->snapshots().remove("look")).ok());
}

TYPED_TEST_P(SnapshotterSuite, CommitTakesTheKeyAway) {
  this->commit_layer("base", "");
  this->expect_error(this->run(this->snapshots().mounts("extract-base")), Errc::not_found);
  this->expect_error(this->run(this->snapshots().commit("again", "extract-base")), Errc::not_found);
  this->expect_error(this->run(this->snapshots().mounts("base")), Errc::failed_precondition);
}

TYPED_TEST_P(SnapshotterSuite, RebaseGivesAParentToATreeMadeWithoutOne) {
  auto mounts = this->run(this->snapshots().prepare("extract-two", ""));
  ASSERT_TRUE(mounts.ok()) << mounts.error().message();
  std::ofstream(writable_dir(*mounts) + "/two") << "two";
  this->expect_error(this->run(this->snapshots().rebase("extract-two", "one")), Errc::not_found);
  this->commit_layer("one", "");
  ASSERT_TRUE(this->run(this->snapshots().rebase("extract-two", "one")).ok());
  auto rebased = this->run(this->snapshots().mounts("extract-two"));
  ASSERT_TRUE(rebased.ok()) << rebased.error().message();
  EXPECT_TRUE(std::ifstream(writable_dir(*rebased) + "/two").good());
  this->expect_error(this->run(this->snapshots().remove("one")), Errc::failed_precondition);
  this->expect_error(this->run(this->snapshots().rebase("extract-two", "one")),
                     Errc::failed_precondition);
  ASSERT_TRUE(this->run(this->snapshots().commit("two", "extract-two")).ok());
  EXPECT_EQ(this->run(this->snapshots().stat("two"))->parent, "one");
  this->expect_error(this->run(this->snapshots().rebase("two", "one")), Errc::not_found);
}

TYPED_TEST_P(SnapshotterSuite, OneSpaceOfKeysAndNames) {
  this->commit_layer("base", "");
  ASSERT_TRUE(this->run(this->snapshots().prepare("ctr", "base")).ok());
  this->expect_error(this->run(this->snapshots().prepare("ctr", "base")), Errc::already_exists);
  this->expect_error(this->run(this->snapshots().view("base", "base")), Errc::already_exists);
  ASSERT_TRUE(this->run(this->snapshots().prepare("e", "")).ok());
  this->expect_error(this->run(this->snapshots().commit("base", "e")), Errc::already_exists);
  this->expect_error(this->run(this->snapshots().commit("ctr", "e")), Errc::already_exists);
  EXPECT_EQ(this->names(), (std::vector<std::string>{"base", "ctr", "e"}));
}

TYPED_TEST_P(SnapshotterSuite, OnlyACommittedSnapshotIsAParent) {
  ASSERT_TRUE(this->run(this->snapshots().prepare("active", "")).ok());
  this->expect_error(this->run(this->snapshots().prepare("x", "active")),
                     Errc::failed_precondition);
  this->expect_error(this->run(this->snapshots().prepare("x", "nobody")), Errc::not_found);
  EXPECT_EQ(this->names(), std::vector<std::string>{"active"});
}

TYPED_TEST_P(SnapshotterSuite, ParentWithChildrenStaysUntilTheyAreGone) {
  this->commit_layer("base", "");
  this->commit_layer("top", "base");
  ASSERT_TRUE(this->run(this->snapshots().prepare("ctr", "top")).ok());
  this->expect_error(this->run(this->snapshots().remove("base")), Errc::failed_precondition);
  this->expect_error(this->run(this->snapshots().remove("top")), Errc::failed_precondition);
  EXPECT_TRUE(this->run(this->snapshots().remove("ctr")).ok());
  EXPECT_TRUE(this->run(this->snapshots().remove("top")).ok());
  EXPECT_TRUE(this->run(this->snapshots().remove("base")).ok());
  EXPECT_TRUE(this->names().empty());
}

TYPED_TEST_P(SnapshotterSuite, RemovedIsGoneAtOnceAndItsKeyFree) {
  this->commit_layer("base", "");
  auto first = this->run(this->snapshots().prepare("ctr", "base"));
  std::ofstream(writable_dir(*first) + "/old") << "x";
  ASSERT_TRUE(this->run(this->snapshots().remove("ctr")).ok());
  this->expect_error(this->run(this->snapshots().remove("ctr")), Errc::not_found);
  this->expect_error(this->run(this->snapshots().stat("ctr")), Errc::not_found);
  auto second = this->run(this->snapshots().prepare("ctr", "base"));
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(std::ifstream(writable_dir(*second) + "/old").good()) << "a fresh tree";
}

TYPED_TEST_P(SnapshotterSuite, UsageIsTheSnapshotsOwn) {
  this->commit_layer("base", "");
  auto mounts = this->run(this->snapshots().prepare("ctr", "base"));
  auto empty = this->run(this->snapshots().usage("ctr"));
  ASSERT_TRUE(empty.ok());
  std::ofstream(writable_dir(*mounts) + "/big") << std::string(1 << 20, 'x') << std::flush;
  auto full = this->run(this->snapshots().usage("ctr"));
  EXPECT_GE(full->bytes, empty->bytes + (1 << 20));
  EXPECT_EQ(full->inodes, empty->inodes + 1);
  this->expect_error(this->run(this->snapshots().usage("nobody")), Errc::not_found);
}

TYPED_TEST_P(SnapshotterSuite, KeysThatCannotBeAreRefused) {
  for (const std::string& key :
       {std::string(), std::string("a/b"), std::string("..\0", 3), std::string(256, 'k')}) {
    this->expect_error(this->run(this->snapshots().prepare(key, "")), Errc::invalid_argument);
  }
  EXPECT_TRUE(this->run(this->snapshots().prepare(std::string(255, 'k'), "")).ok());
  EXPECT_TRUE(this->run(this->snapshots().prepare("..", "")).ok()) << "a key is no path";
}

TYPED_TEST_P(SnapshotterSuite, ManyLayersAreOneStack) {
  constexpr int kLayers = 128;
  std::string parent;
  for (int i = 0; i < kLayers; ++i) {
    const std::string name = "layer-" + std::to_string(i);
    this->commit_layer(name, parent);
    if (this->HasFatalFailure()) return;
    parent = name;
  }
  auto mounts = this->run(this->snapshots().prepare("ctr", parent));
  ASSERT_TRUE(mounts.ok());
  EXPECT_FALSE(writable_dir(*mounts).empty());
}

REGISTER_TYPED_TEST_SUITE_P(SnapshotterSuite, WrittenTreeIsThereAfterCommitAndRestart,
                            StatTellsNameParentKindAndTime,
                            MountsAreWhatPrepareAnsweredAlsoAfterRestart,
                            ViewIsReadOnlyAndCannotBeCommitted, CommitTakesTheKeyAway,
                            RebaseGivesAParentToATreeMadeWithoutOne, OneSpaceOfKeysAndNames,
                            OnlyACommittedSnapshotIsAParent,
                            ParentWithChildrenStaysUntilTheyAreGone,
                            RemovedIsGoneAtOnceAndItsKeyFree, UsageIsTheSnapshotsOwn,
                            KeysThatCannotBeAreRefused, ManyLayersAreOneStack);

}  // namespace berth::plugins
