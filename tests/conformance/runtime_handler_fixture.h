// SPDX-License-Identifier: Apache-2.0
// What the suites of runtime handlers share: short forms of the calls, and one list of what the
// agent has on record.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "tests/conformance/runtime_handler_factory.h"

namespace berth::plugins {

// Of sandboxes, containers and execs, as the contract says.
constexpr std::size_t kIdBytesMax = 120;

template <typename Factory>
class RuntimeHandlerFixture : public ::testing::Test {
 protected:
  using Kind = fakes::Program::Kind;

  void SetUp() override { recover_all(); }

  Factory& factory() { return factory_; }
  RuntimeHandler& handler() { return factory_.handler(); }
  template <typename T>
  Result<T> run(Task<T> task) {
    return factory_.ring().run_until(std::move(task));
  }
  template <typename T>
  void expect_error(Result<T> outcome, Errc code) {
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, code) << outcome.error().message();
  }

  // recover() with everything that was started here and not removed or stopped.
  Recovered recover_all() {
    std::vector<KnownSandbox> known;
    for (const auto& [id, containers] : known_) {
      known.push_back(
          {.sandbox_id = id, .namespaces = namespaces_[id], .container_ids = containers});
    }
    return recover(std::move(known));
  }
  Recovered recover(std::vector<KnownSandbox> known) {
    auto recovered = run(handler().recover(std::move(known)));
    EXPECT_TRUE(recovered.ok()) << recovered.error().message();
    return recovered.ok() ? *std::move(recovered) : Recovered();
  }

  SandboxRequest sandbox_request(const std::string& id) {
    SandboxRequest request;
    request.sandbox_id = id;
    request.netns = factory_.netns();
    request.hostname = "conformance";
    return request;
  }
  void start_sandbox(const std::string& id, bool with_init = false) {
    SandboxRequest request = sandbox_request(id);
    request.namespaces.pid = with_init;
    namespaces_[id] = request.namespaces;
    known_[id];
    auto started = run(handler().start_sandbox(std::move(request)));
    ASSERT_TRUE(started.ok()) << started.error().message();
  }

  StartRequest start_request(const std::string& sandbox_id, const std::string& id,
                             const fakes::Program& program) {
    StartRequest request;
    request.sandbox_id = sandbox_id;
    request.container_id = id;
    request.spec = factory_.spec(program);
    request.rootfs = factory_.rootfs();
    request.stdio.log_file = open_log(id);
    return request;
  }
  Result<Started> try_start(StartRequest request) {
    return run(handler().start(std::move(request)));
  }
  Result<Started> try_start(const std::string& sandbox_id, const std::string& id,
                            const fakes::Program& program) {
    return try_start(start_request(sandbox_id, id, program));
  }
  Started start(StartRequest request) {
    known_[request.sandbox_id].push_back(request.container_id);
    auto started = try_start(std::move(request));
    EXPECT_TRUE(started.ok()) << started.error().message();
    return started.ok() ? *std::move(started) : Started();
  }
  Started start(const std::string& sandbox_id, const std::string& id,
                const fakes::Program& program) {
    return start(start_request(sandbox_id, id, program));
  }

  ExecRequest exec_request(const std::string& container_id, const std::string& exec_id,
                           const fakes::Program& program) {
    ExecRequest request;
    request.container_id = container_id;
    request.exec_id = exec_id;
    request.process = factory_.spec(program).process;
    request.stdio.out.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    request.stdio.err.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    return request;
  }
  Result<Started> exec(const std::string& container_id, const std::string& exec_id,
                       const fakes::Program& program) {
    return run(handler().exec(exec_request(container_id, exec_id, program)));
  }

  std::optional<Exit> next_exit_within(std::int64_t limit_ms) {
    auto exit =
        run(with_deadline(factory_.ring(), Deadline::after_ms(limit_ms), handler().next_exit()));
    if (exit.ok()) return *std::move(exit);
    EXPECT_EQ(exit.error().code, Errc::deadline_exceeded) << exit.error().message();
    return std::nullopt;
  }
  Exit expect_exit(const std::string& id, std::optional<int> exit_code) {
    const std::optional<Exit> exit = next_exit_within(20'000);
    EXPECT_TRUE(exit.has_value()) << "no exit of " << id;
    if (!exit) return Exit();
    EXPECT_EQ(exit->id, id);
    EXPECT_EQ(exit->exit_code, exit_code);
    return *exit;
  }

  UniqueFd open_log(const std::string& id) {
    const std::string path = factory_.log_path(id);
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    EXPECT_TRUE(file.valid()) << path;
    return file;
  }
  std::string log_text(const std::string& id) {
    std::ifstream file(factory_.log_path(id), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // Until the log of `id` holds `wanted`; a log may be written behind.
  bool log_gets(const std::string& id, const std::string& wanted) {
    const Deadline deadline = Deadline::after_ms(20'000);
    while (log_text(id).find(wanted) == std::string::npos) {
      if (deadline.passed()) return false;
      auto slept = run(sleep_ms(2));
      if (!slept.ok()) return false;
    }
    return true;
  }
  Task<void> sleep_ms(std::int64_t ms) {
    co_await factory_.ring().sleep_until(Deadline::after_ms(ms));
  }

  // Anonymous files with a text each.
  std::vector<UniqueFd> files(const std::vector<std::string>& contents) {
    std::vector<UniqueFd> made;
    for (const std::string& content : contents) {
      UniqueFd file(::memfd_create("kept", MFD_CLOEXEC));
      EXPECT_EQ(::write(file.get(), content.data(), content.size()),
                static_cast<ssize_t>(content.size()));
      made.push_back(std::move(file));
    }
    return made;
  }
  std::vector<std::string> texts(const std::vector<UniqueFd>& fds) {
    std::vector<std::string> all;
    for (const UniqueFd& fd : fds) {
      char text[64];
      const ssize_t size = ::pread(fd.get(), text, sizeof text, 0);
      all.emplace_back(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    }
    return all;
  }

  // What the agent has on record: sandboxes and their containers.
  std::map<std::string, std::vector<std::string>> known_;
  std::map<std::string, SandboxNamespaces> namespaces_;

 private:
  Factory factory_;
};

}  // namespace berth::plugins
