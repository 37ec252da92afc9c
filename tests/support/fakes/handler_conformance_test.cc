// SPDX-License-Identifier: Apache-2.0
// The fake handler keeps the contract that the built-in one is held to.
#include <fcntl.h>

#include <memory>

#include "tests/conformance/runtime_handler_recovery.h"
#include "tests/conformance/runtime_handler_streams.h"
#include "tests/conformance/runtime_handler_suite.h"
#include "tests/support/fakes/handler.h"
#include "tests/support/temporary_dir.h"

namespace berth::fakes {
namespace {

class FakePlace final : public plugins::RuntimeHandlerFactory {
 public:
  FakePlace() : ring_(Ring::create().value()), machine_(*ring_, faults_) { restart(); }
  ~FakePlace() override {
    handler_.reset();
    EXPECT_TRUE(ring_->run_until(machine_.close()).ok());
  }

  Ring& ring() override { return *ring_; }
  plugins::RuntimeHandler& handler() override { return *handler_; }
  void restart() override {
    handler_.reset();
    handler_ = std::make_unique<FakeHandler>(machine_, faults_);
  }
  oci::Spec spec(const Program& program) override {
    oci::Spec spec;
    spec.process.args = args_of(program);
    return spec;
  }
  UniqueFd rootfs() override { return {}; }
  UniqueFd netns() override { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
  std::string log_path(const std::string& id) override { return dir_ / (id + ".log"); }

  bool lose_logs() override {
    for (auto& [id, process] : machine_.processes) process.log_lost = true;
    restart();
    return true;
  }
  bool end_unseen(const std::string& container_id, pid_t) override {
    machine_.end(container_id, std::nullopt);
    restart();
    return true;
  }
  void end_init(const plugins::SandboxStatus& sandbox) override {
    machine_.end(sandbox.sandbox_id, 137);
  }

 private:
  TemporaryDir dir_;
  NoFaults faults_;
  std::unique_ptr<Ring> ring_;
  Machine machine_;
  std::unique_ptr<FakeHandler> handler_;
};

}  // namespace
}  // namespace berth::fakes

namespace berth::plugins {

using fakes::FakePlace;
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, RuntimeHandlerLife, FakePlace);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, RuntimeHandlerStreams, FakePlace);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, RuntimeHandlerRecovery, FakePlace);

}  // namespace berth::plugins
