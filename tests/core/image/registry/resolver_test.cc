// SPDX-License-Identifier: Apache-2.0
// Promise: a name server that does not answer delays only the transfer that needs its answer.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "core/base/unique_fd.h"
#include "core/image/http/client.h"
#include "core/task/scope.h"
#include "tests/core/image/http/fake_server.h"
#include "tests/core/image/http/own_network.h"
#include "tests/core/image/registry/session_fixture.h"

namespace berth::image {
namespace {

// The calling thread, and the threads it makes, query a name server on loopback that never answers.
// Each query hangs for three seconds.
class DeafNameServer {
 public:
  DeafNameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(53);
    ::inet_pton(AF_INET, "127.0.0.1", &name.sin_addr);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string text = "nameserver 127.0.0.1\noptions timeout:3 attempts:1\n";
    char path[] = "/tmp/berth-resolv.XXXXXX";
    const UniqueFd file(::mkstemp(path));
    EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(::mount(path, "/etc/resolv.conf", nullptr, MS_BIND, nullptr), 0);
    ::unlink(path);  // the mount keeps the file
  }
  bool was_asked() const {
    char question[512];
    return ::recv(socket_.get(), question, sizeof question, MSG_DONTWAIT) > 0;
  }

 private:
  UniqueFd socket_;
};

struct Outcomes {
  std::optional<Result<HttpResponse>> hanging;
  std::optional<Result<HttpResponse>> other;
  std::int64_t other_ms = 0;
};

Task<void> ask(HttpClient& client, HttpRequest request, std::optional<Result<HttpResponse>>& to) {
  MemorySink sink;
  to = co_await client.exchange(std::move(request), sink).result();
}

Task<void> ask_timed(HttpClient& client, HttpRequest request, Outcomes& to) {
  const Stopwatch watch;
  co_await ask(client, std::move(request), to.other);
  to.other_ms = watch.ms();
}

Outcomes ask_both(const std::string& host) {
  Outcomes outcomes;
  std::unique_ptr<Ring> ring = *Ring::create();
  std::unique_ptr<HttpClient> client = *HttpClient::create(*ring, "berth-test");
  HttpRequest hanging;
  hanging.url = "http://registry.example/x";
  hanging.connect_timeout_ms = 300;
  HttpRequest other;
  other.url = "http://" + host + "/x";
  Scope scope(ring->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  scope.spawn(ask(*client, std::move(hanging), outcomes.hanging));
  scope.spawn(ask_timed(*client, std::move(other), outcomes));
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  EXPECT_TRUE(ring->run_until(all()).ok());
  return outcomes;
}

TEST(HttpResolver, ANameServerThatIsSilentHoldsUpNoOtherTransfer) {
  if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
  // The answer comes after the other transfer has timed out.
  FakeServer server([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "x", .stall_ms = 600};
  });
  Outcomes outcomes;
  std::thread([&] {
    const DeafNameServer silent;
    outcomes = ask_both(server.host());
    EXPECT_TRUE(silent.was_asked());
  }).join();
  ASSERT_TRUE(outcomes.hanging.has_value() && outcomes.other.has_value());
  ASSERT_FALSE(outcomes.hanging->ok());
  EXPECT_EQ(outcomes.hanging->error().code, Errc::deadline_exceeded);
  ASSERT_TRUE(outcomes.other->ok()) << outcomes.other->error().message();
  EXPECT_LT(outcomes.other_ms, 2'000);
}

}  // namespace
}  // namespace berth::image
