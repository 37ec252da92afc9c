// SPDX-License-Identifier: Apache-2.0
// A Cgroup1 with its own cgroup sandbox. Skipped on machines without the v1 memory controller.
#pragma once

#include <memory>
#include <string>

#include "plugins/cgroup1/cgroup1.h"
#include "tests/plugins/cgroup_sandbox.h"

namespace berth::plugins {

class Cgroup1Test : public testing::Test {
 protected:
  void SetUp() override {
    if (!cgroups_usable()) GTEST_SKIP() << "no writable cgroup hierarchy";
    sandbox_ = std::make_unique<CgroupSandbox>();
    if (sandbox_->at("memory", "").empty()) GTEST_SKIP() << "memory is not on cgroup v1 here";
    ring_ = MUST(Ring::create());
    plugin_ = make_plugin();
    ASSERT_TRUE(run(plugin_->recover({})).ok());
  }

  std::unique_ptr<Cgroup1> make_plugin() {
    return MUST(Cgroup1::create(*ring_, log_, {.parent = sandbox_->parent()}, sandbox_->mounts()));
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return ring_->run_until(std::move(task));
  }
  // The container's directory below the parent cgroup, in the flat form.
  std::string flat(const std::string& pod, const std::string& container) const {
    return sandbox_->parent() + "/berth-" + pod + "." + container;
  }
  std::string nested(const std::string& pod, const std::string& container) const {
    return sandbox_->parent() + "/berth-" + pod + "/" + container;
  }

  Log log_{LogLevel::error};
  std::unique_ptr<CgroupSandbox> sandbox_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Cgroup1> plugin_;
};

}  // namespace berth::plugins
