// SPDX-License-Identifier: Apache-2.0
// Promise: containers whose records an agent wrote before records had a specification start, take
// execs and report their user after an upgrade.
#include "cri/state/record.pb.h"

#include "core/store/state.h"
#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

namespace state_v1 = ::berth::state::v1;

class OldRecord : public Node {
 protected:
  // berthd must be away: it alone may have the store open.
  static void take_specification(const std::string& id) {
    constexpr store::Table kContainers{"containers", 1};
    Result<store::State> state = store::State::open(dir("BERTH_STATE") + "/berth/state", {});
    ASSERT_TRUE(state.ok()) << state.error().message();
    Result<std::optional<std::string>> bytes = state->get(kContainers, id);
    ASSERT_TRUE(bytes.ok() && bytes->has_value()) << "no record of " << id;
    state_v1::ContainerRecord record;
    ASSERT_TRUE(record.ParseFromString(bytes.value().value()));
    ASSERT_TRUE(record.has_spec());
    const state_v1::SpecProcess process = record.spec().process();
    record.set_uid(process.user().uid());
    record.set_gid(process.user().gid());
    for (const std::uint32_t group : process.user().additional_gids()) record.add_groups(group);
    for (const std::string& arg : process.args()) record.add_args(arg);
    for (const std::string& variable : process.env()) record.add_env(variable);
    record.set_working_dir(process.cwd());
    record.clear_spec();
    ASSERT_TRUE(state->put(kContainers, id, record.SerializeAsString()).ok());
  }
  static void as_in_old_times(v1::ContainerConfig& config) {
    v1::KeyValue* const variable = config.add_envs();
    variable->set_key("WORD");
    variable->set_value("kept");
    config.set_working_dir("/tmp");
    config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(1234);
  }
  static constexpr const char* kTell = "echo \"$WORD $PWD $(id -u)\"";
  static constexpr const char* kTold = "kept /tmp 1234\n";
};

TEST_F(OldRecord, ACreatedContainerStartsAndARunningOneTakesExecs) {
  const std::string pod = run_pod();
  const std::string waits = std::string(kTell) + "; exec sleep 1000";
  const std::string created = create(pod, {"sh", "-c", waits}, as_in_old_times);
  const std::string running = start(pod, {"sleep", "1000"}, as_in_old_times);
  kill_berthd();
  take_specification(created);
  take_specification(running);
  ASSERT_TRUE(start_berthd());

  EXPECT_EQ(status(running).user().linux().uid(), 1234);
  const auto told = exec(running, kTell);
  ASSERT_TRUE(told.ok()) << told.text();
  EXPECT_EQ(told.value.stdout(), kTold);

  const auto started = try_start(created);
  ASSERT_TRUE(started.ok()) << started.text();
  EXPECT_TRUE(wait_until([&created] { return stdout_of(created) == kTold; }, 10))
      << stdout_of(created);
  EXPECT_EQ(status(created).user().linux().uid(), 1234);
}

}  // namespace
}  // namespace berth::node_test
