// SPDX-License-Identifier: Apache-2.0
// Test support: a keeper with a state directory of its own, in a PID namespace whose first process
// is the test, so that every process that a test leaves behind ends with it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugins/native/keeper_client.h"
#include "plugins/native/streams.h"
#include "tests/core/container/launcher.h"

namespace berth::keeper::testing {

using native::KeeperClient;
using native::KeeperOptions;
using native::KnownProcess;
using plugins::Exit;
using plugins::Started;

constexpr std::int64_t kLongMs = 20'000;

std::string read_file(const std::string& path);
std::vector<std::string> lines_of(const std::string& text);
// The text of one stream of a CRI log: the contents of its records, joined as the kubelet joins
// them. Fails the test if a record is malformed.
std::string joined_log(const std::string& log, const std::string& stream = "stdout");
// Writes the program `binary` to `path` with another build ID in its note; gives `path`.
std::string other_build(const std::string& binary, const std::string& path);
int count_fds(pid_t pid);
// False if the condition did not become true in time.
bool eventually(const std::function<bool()>& condition, std::int64_t limit_ms = kLongMs);

class KeeperTest : public ::testing::Test {
 protected:
  void SetUp() override;
  // Kills and forgets what is left, ends the keeper, and checks that nothing remains.
  void TearDown() override;

  // Connects a client, as a new agent does.
  void connect();
  // Closes the client without a message, as when an agent is killed.
  void drop_client();

  struct LaunchWish {
    std::vector<std::string> args;
    bool logged = true;
    bool terminal = false;
    bool open_stdin = false;
    std::function<void(container::LaunchContainer&)> change = {};
  };
  Result<Started> try_launch(const std::string& id, LaunchWish wish);
  Started launch(const std::string& id, LaunchWish wish);
  Started shell(const std::string& id, const std::string& script);
  static void kill_process(const Started& started, int signal_number);
  // Returns the next exit of `id` and stores the exits of other processes for later calls.
  Exit wait_exit(const std::string& id);
  void forget(const std::string& id);
  void kill_keeper();
  std::string log_path(const std::string& id) const { return dir_ + "/" + id + ".log"; }
  std::string log_of(const std::string& id) const { return read_file(log_path(id)); }
  UniqueFd open_log(const std::string& path) const;

  template <typename T>
  Result<T> run(Task<T> task) {
    return ring_->run_until(std::move(task));
  }
  static Deadline soon() { return Deadline::after_ms(kLongMs); }

  std::string dir_;
  Log log_{LogLevel::error};
  KeeperOptions options_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<KeeperClient> client_;
  std::vector<Exit> aside_;
};

}  // namespace berth::keeper::testing
