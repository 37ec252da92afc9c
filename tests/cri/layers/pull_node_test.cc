// SPDX-License-Identifier: Apache-2.0
// Promise: pulls of overlapping images fetch each blob once.
#include <map>
#include <regex>
#include <sstream>

#include "core/task/scope.h"
#include "tests/cri/layers/node.h"

namespace berth::cri {
namespace {

Task<void> keep(Task<image::PullResult> pull, Result<image::PullResult>& out) {
  out = co_await std::move(pull).result();
}

Task<void> close_scope(Scope& scope) {
  co_await scope.close();
}

class PullNode : public RegistryNode {
 protected:
  // How often each blob was sent, by the registry's own log.
  std::map<std::string, int> blobs_sent() {
    std::ifstream log(dir_ + "/registry/log");
    std::stringstream all;
    all << log.rdbuf();
    const std::string text = all.str();
    const std::regex get(R"("GET /v2/[^ ]*/blobs/(sha256:[0-9a-f]{64}) )");
    std::map<std::string, int> sent;
    for (std::sregex_iterator it(text.begin(), text.end(), get), end; it != end; ++it) {
      ++sent[(*it)[1]];
    }
    return sent;
  }
  static std::string reference(int image) { return "127.0.0.1:5000/app:" + std::to_string(image); }
};

TEST_F(PullNode, ThirtyTwoPullsOfEightOverlappingImagesFetchEveryBlobOnce) {
  write_noise("base/base", 3 << 20, 1);
  for (int i = 0; i < 4; ++i) write_noise("mid" + std::to_string(i) + "/mid", 1 << 20, 10u + i);
  for (int i = 0; i < 8; ++i) {
    const std::string number = std::to_string(i);
    write("top" + number + "/which", number);
    push("app:" + number, {"base", "mid" + std::to_string(i / 2), "top" + number});
  }
  ImageAgent agent(dir_);
  std::vector<Result<image::PullResult>> results(32, make_error(Errc::unknown, "did not run"));
  Scope scope(agent.ring->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  for (int i = 0; i < 32; ++i) {
    image::PullRequest request;
    request.reference = reference(i % 8);
    scope.spawn(keep(agent.puller->pull(std::move(request)), results[static_cast<unsigned>(i)]));
  }
  agent.ring->run_until(close_scope(scope)).value();
  for (const auto& result : results) ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(agent.images->list().size(), 8u);
  EXPECT_EQ(agent.ring->run_until(agent.overlay->walk()).value().size(), 1u + 4u + 8u);
  const std::map<std::string, int> sent = blobs_sent();
  // Layers and configurations.
  EXPECT_EQ(sent.size(), 1u + 4u + 8u + 8u);
  for (const auto& [digest, times] : sent) EXPECT_EQ(times, 1) << digest;
}

}  // namespace
}  // namespace berth::cri
