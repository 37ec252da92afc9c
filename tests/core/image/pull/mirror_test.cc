// SPDX-License-Identifier: Apache-2.0
// Promise: a layer is unpacked while it arrives, before its bytes are verified. When they are
// wrong, the blob is fetched again and the pull succeeds.
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/core/image/pull/fixture.h"

namespace berth::image {
namespace {

class PullMirror : public PullTest {
 protected:
  // Larger than every buffer, also when compressed.
  static std::string noise(std::size_t size) {
    std::mt19937_64 random(11);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  }
  // Damaged near the beginning, where the decoder finds it long before the digest is known.
  static std::string damaged(std::string blob) {
    return blob.replace(1'000, 5'000, std::string(5'000, '\0'));
  }
  // Sends only `bytes` for the blob, with a pause before their end.
  static FakeServer::Handler only(const std::string& digest, const std::string& bytes) {
    return [=](const ServerRequest& request) {
      ServerResponse response{.status = 404, .headers = {}, .body = ""};
      if (request.path.find(digest) == std::string::npos) return response;
      response = {.status = 200, .headers = {}, .body = bytes};
      response.pause_after = static_cast<std::int64_t>(bytes.size() / 2);
      response.pause_ms = 300;
      return response;
    };
  }
  // Requests for "registry.test" go to `mirror` first.
  void use_mirror(const std::string& mirror) {
    close();
    const std::string place = dir_ + "/certs.d/registry.test";
    std::filesystem::create_directories(place);
    std::ofstream(place + "/hosts.toml")
        << "server = \"http://" << registry_.host() << "\"\n[host.\"http://" << mirror << "\"]\n";
    options_.registry.config_dir = dir_ + "/certs.d";
    open();
  }
  Result<PullResult> pull_test_image() {
    PullRequest request;
    request.reference = "registry.test/app:1";
    return ring_->run_until(puller_->pull(std::move(request)));
  }
};

TEST_F(PullMirror, AMirrorThatSendsADamagedLayerIsReplacedByTheRegistry) {
  const std::string layer = noise(3'000'000);
  const Made made = add("app", "1", {"base", layer});
  FakeRegistry liar;
  liar.set_hook(only(made.blobs[1], damaged(gzip(layer))));
  use_mirror(liar.host());
  Result<PullResult> result = pull_test_image();
  ASSERT_TRUE(result.ok()) << result.error().message();
  const std::string asked = "/v2/app/blobs/" + made.blobs[1] + "?ns=registry.test";
  EXPECT_EQ(liar.server().count("GET", asked), 1u);
  EXPECT_EQ(registry_.server().count("GET", asked), 1u);
  EXPECT_EQ(layers_.committed.size(), 2u);
}

TEST_F(PullMirror, ADamagedPartialFileIsFetchedAgain) {
  const std::string layer = noise(3'000'000);
  const Made made = add("app", "1", {layer});
  const std::string blob = gzip(layer);
  registry_.set_hook([=](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    // The rest arrives late, so the wrong bytes are read before the digest is known.
    if (!request.header("range").empty()) response.stall_ms = 300;
    return response;
  });
  std::ofstream(dir_ + "/content/ingest/sha256-" + made.blobs[0].substr(7))
      << damaged(blob.substr(0, 2'000'000));
  Result<PullResult> result = pull("app:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(fetched("app", made.blobs[0]), 2u);
}

TEST_F(PullMirror, ADamagedLayerWithTheRightDigestIsUnpackedOnce) {
  Made made = make("app", {noise(2'000'000)});
  const std::string lie = oci::digest_of("another tar").text();
  made.config.replace(made.config.find("\"diff_ids\":[\"") + 13, lie.size(), lie);
  const std::string old_config = made.config_digest;
  made.config_digest = registry_.add_blob("app", made.config);
  made.manifest.replace(made.manifest.find(old_config), old_config.size(), made.config_digest);
  publish("app", "1", made.manifest);
  EXPECT_NE(must_fail("app:1").find("diff_id " + lie), std::string::npos);
  EXPECT_EQ(layers_.extractions, 1);
  expect_nothing_left();
}

TEST_F(PullMirror, ALayerThatIsWrongEverywhereFailsWithTheFetchError) {
  const std::string layer = noise(3'000'000);
  const Made made = add("app", "1", {layer});
  registry_.set_hook([=](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (!request.path.ends_with(made.blobs[0])) return response;
    return only(made.blobs[0], damaged(gzip(layer)))(request);
  });
  const std::string text = must_fail("app:1");
  EXPECT_NE(text.find("the bytes have digest"), std::string::npos) << text;
  expect_nothing_left();
}

}  // namespace
}  // namespace berth::image
