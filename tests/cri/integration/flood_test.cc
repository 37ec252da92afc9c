// SPDX-License-Identifier: Apache-2.0
// A client that floods the real agent: its memory stays bounded and another client is served.
// tests/cri/rpc/flood_test.cc has all kinds of floods, against the server alone.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "tests/cri/integration/node_fixture.h"
#include "tests/cri/rpc/raw_http2.h"

namespace berth::node_test {
namespace {

using test::RawHttp2;

class Flood : public Node {
 protected:
  static long resident_kib() {
    std::ifstream status("/proc/" + std::to_string(berthd_pid()) + "/status");
    for (std::string word; status >> word;) {
      if (word != "VmRSS:") continue;
      long kib = 0;
      status >> kib;
      return kib;
    }
    return 0;
  }

  // 300,000 calls of Version that are reset at once, on as many connections as it takes.
  static void send_resets() {
    const std::string path = dir("BERTH_STATE") + "/berth.sock";
    const std::string headers = RawHttp2::call_headers("/runtime.v1.RuntimeService/Version");
    for (int sent = 0; sent < 300'000;) {
      RawHttp2 attacker(path);
      attacker.read_all();
      bool open = attacker.acknowledge_settings();
      for (std::uint32_t stream = 1; open && sent < 300'000; ++sent, stream += 2) {
        open = attacker.send(
            RawHttp2::frame(RawHttp2::kHeaders, RawHttp2::kEndHeaders, stream, headers) +
            RawHttp2::reset(stream));
      }
      sent += 1000;  // for a connection that was closed
    }
  }
};

TEST_F(Flood, ResetsTakeNoMemoryOfTheAgentAndNobodysTurn) {
  const std::string pod = run_pod();
  const long before = resident_kib();
  std::atomic<bool> done = false;
  long most = 0;
  std::thread watcher([&] {
    while (!done) most = std::max(most, resident_kib());
  });
  std::thread attacker([&] {
    send_resets();
    done = true;
  });
  double longest = 0;
  while (!done) {
    const auto answer = call(&Runtime::Version, v1::VersionRequest());
    EXPECT_TRUE(answer.ok()) << answer.text();
    longest = std::max(longest, answer.seconds);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  attacker.join();
  watcher.join();
  EXPECT_LT(most - before, 64 * 1024);
  EXPECT_LT(longest, 1.0);
  EXPECT_NE(berthd_log().find("warn rpc: closed "), std::string::npos);
  EXPECT_EQ(printed(pod, "echo served"), "served\n");
}

}  // namespace
}  // namespace berth::node_test
