// SPDX-License-Identifier: Apache-2.0
#include "cri/pods.h"

#include <gtest/gtest.h>

#include <set>

namespace berth::cri {
namespace {

std::shared_ptr<Container> container(const std::string& id, std::shared_ptr<Sandbox> sandbox) {
  auto made = std::make_shared<Container>();
  made->item.set_id(id);
  made->item.set_pod_sandbox_id(sandbox->id());
  made->item.mutable_metadata()->set_name("web");
  made->sandbox = std::move(sandbox);
  return made;
}

// A creation whose undo failed leaves a container to be removed; its retry has the name by then.
TEST(Pods, RemovalOfOneDoesNotTakeTheNameOfAnother) {
  Pods pods;
  const auto sandbox = std::make_shared<Sandbox>();
  sandbox->item.set_id("pod");
  pods.add(sandbox);
  const auto failed = container("first", sandbox);
  const auto retried = container("second", sandbox);
  pods.add(failed);
  pods.add(retried);
  const std::string name = Pods::name_of("pod", retried->item.metadata());
  pods.remove(*failed);
  EXPECT_EQ(pods.container_by_name(name), retried);
  EXPECT_EQ(sandbox->container_ids, std::vector<std::string>{"second"});
  pods.remove(*retried);
  EXPECT_EQ(pods.container_by_name(name), nullptr);
}

TEST(Pods, RemovalOfASandboxDoesNotTakeTheNameOfAnother) {
  Pods pods;
  const auto old = std::make_shared<Sandbox>();
  old->item.set_id("old");
  const auto young = std::make_shared<Sandbox>();
  young->item.set_id("young");
  pods.add(old);
  pods.add(young);
  pods.remove(*old);
  EXPECT_EQ(pods.sandbox_by_name(Pods::name_of(young->item.metadata())), young);
}

// A kubelet restarts a container by making the next attempt of it beside the one that ended.
TEST(Pods, AnotherAttemptIsAnotherContainerAndAnotherPod) {
  Pods pods;
  const auto sandbox = std::make_shared<Sandbox>();
  sandbox->item.set_id("pod");
  pods.add(sandbox);
  const auto first = container("first", sandbox);
  const auto second = container("second", sandbox);
  second->item.mutable_metadata()->set_attempt(1);
  pods.add(first);
  pods.add(second);
  EXPECT_EQ(pods.container_by_name(Pods::name_of("pod", first->item.metadata())), first);
  EXPECT_EQ(pods.container_by_name(Pods::name_of("pod", second->item.metadata())), second);
  runtime::v1::PodSandboxMetadata metadata;
  metadata.set_name("web");
  metadata.set_namespace_("default");
  metadata.set_uid("uid");
  std::set<std::string> names = {Pods::name_of(metadata)};
  metadata.set_attempt(1);
  names.insert(Pods::name_of(metadata));
  metadata.set_attempt(11);
  names.insert(Pods::name_of(metadata));
  metadata.set_uid("other");
  names.insert(Pods::name_of(metadata));
  EXPECT_EQ(names.size(), 4u);
}

}  // namespace
}  // namespace berth::cri
