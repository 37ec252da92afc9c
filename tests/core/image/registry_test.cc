// SPDX-License-Identifier: Apache-2.0
// Promise: right bytes or a sentence that says what the registry did; credentials go to whom they
// are for.
#include "core/image/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/core/image/fake_server.h"
#include "tests/core/image/own_network.h"

namespace berth::image {
namespace {

const auto* const kNetwork = testing::AddGlobalTestEnvironment(new OwnNetwork);
constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
    char name[] = "/tmp/berth-registry.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    content_.emplace(*ContentStore::open(dir_ + "/content"));
    options_.retry_delay_ms = 1;
    options_.connect_timeout_ms = 500;
    options_.low_speed_s = 1;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Repository> repository(AuthConfig auth = {}) {
    const Reference reference = *parse_reference(registry_.host() + "/app:1");
    transport_.emplace(options_);
    return std::make_unique<Repository>(*transport_, options_, reference, std::move(auth),
                                        stop_.get_token());
  }
  // Fetches `bytes` under `digest` and says how it went; "" is success.
  std::string fetch(Repository& repository, const std::string& digest, std::size_t size) {
    oci::Descriptor blob;
    blob.digest = *oci::Digest::parse(digest);
    blob.size = size;
    Result<Ingest> ingest = content_->begin(blob.digest, blob.size);
    if (!ingest.ok()) return ingest.error().message();
    Status got = repository.get_blob(blob, *ingest, fetched_, transferred_);
    if (got.ok()) got = ingest->commit();
    return got.ok() ? "" : got.error().message();
  }

  std::string dir_;
  std::optional<ContentStore> content_;
  RegistryOptions options_;
  std::stop_source stop_;
  std::optional<CurlTransport> transport_;
  std::atomic<std::uint64_t> fetched_{0};
  std::atomic<std::uint64_t> transferred_{0};
  FakeRegistry registry_;
};

TEST_F(RegistryTest, GivesManifestsByTagAndByDigest) {
  const std::string digest = registry_.add_manifest("app", "1", kManifestType, "{\"a\":1}");
  auto client = repository();
  EXPECT_TRUE(client->ping().ok());
  Result<RemoteDocument> head = client->head_manifest("1");
  ASSERT_TRUE(head.ok()) << head.error().message();
  EXPECT_EQ(head->digest.text(), digest);
  EXPECT_EQ(head->media_type, kManifestType);
  EXPECT_EQ(client->get_manifest("1")->bytes, "{\"a\":1}");
  EXPECT_EQ(client->get_manifest(digest)->digest.text(), digest);
  EXPECT_NE(registry_.server().requests().back().header("accept").find("manifest.list.v2"),
            std::string::npos);
}

TEST_F(RegistryTest, SaysWhatTheRegistrySaid) {
  auto client = repository();
  Result<RemoteDocument> none = client->get_manifest("nope");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message(), "GET http://" + registry_.host() +
                                        "/v2/app/manifests/nope: HTTP 404 "
                                        "(MANIFEST_UNKNOWN: manifest unknown)");
}

TEST_F(RegistryTest, RefusesAManifestWithAnotherDigest) {
  const std::string other = "sha256:" + std::string(64, '0');
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "{}"};
  });
  EXPECT_EQ(repository()->get_manifest(other).error().code, Errc::data_loss);
  registry_.set_hook([&other](const ServerRequest&) {
    return ServerResponse{
        .status = 200, .headers = {"Docker-Content-Digest: " + other}, .body = "{}"};
  });
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::data_loss);
}

TEST_F(RegistryTest, RefusesAManifestOfFiveMegabytes) {
  registry_.add_manifest("app", "1", kManifestType, std::string(5 << 20, ' '));
  Result<RemoteDocument> big = repository()->get_manifest("1");
  ASSERT_FALSE(big.ok());
  EXPECT_NE(big.error().message().find("larger than 4 MiB"), std::string::npos);
}

TEST_F(RegistryTest, ContinuesABlobThatIsCutEvery64KiB) {
  const std::string bytes(1'000'000, 'b');
  const std::string digest = registry_.add_blob("app", bytes);
  registry_.set_hook([&](const ServerRequest& request) {
    const std::string range = request.header("range");
    const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    ServerResponse response{
        .status = from == 0 ? 200 : 206, .headers = {}, .body = bytes.substr(from)};
    response.headers.push_back("Content-Range: bytes " + std::to_string(from) + "-999999/1000000");
    response.cut_after = 65'536;
    return response;
  });
  auto client = repository();
  EXPECT_EQ(fetch(*client, digest, bytes.size()), "");
  EXPECT_EQ(registry_.server().requests().size(), 16u);
  EXPECT_EQ(transferred_, bytes.size());
  EXPECT_EQ(content_->read(*oci::Digest::parse(digest), 1 << 20)->size(), bytes.size());
}

TEST_F(RegistryTest, BeginsAgainWhenTheServerIgnoresTheRange) {
  const std::string bytes(100'000, 'b');
  const std::string digest = registry_.add_blob("app", bytes);
  std::atomic<int> asked{0};
  registry_.set_hook([&](const ServerRequest&) {
    ServerResponse response{.status = 200, .headers = {}, .body = bytes};
    if (asked++ == 0) response.cut_after = 50'000;
    return response;
  });
  auto client = repository();
  EXPECT_EQ(fetch(*client, digest, bytes.size()), "");
  EXPECT_EQ(registry_.server().requests()[1].header("range"), "bytes=50000-");
}

TEST_F(RegistryTest, RefusesWrongBytesAndWrongLengths) {
  const std::string digest = "sha256:" + std::string(64, '0');
  std::string body = "wrong";
  std::int64_t declared = -1;
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = body, .declared_length = declared};
  });
  auto client = repository();
  EXPECT_NE(fetch(*client, digest, 5).find("the bytes have digest"), std::string::npos);
  EXPECT_NE(fetch(*client, digest, 4).find("more than the announced 4"), std::string::npos);
  EXPECT_NE(fetch(*client, digest, 6).find("5 bytes instead of the announced 6"),
            std::string::npos);
  declared = 100;
  EXPECT_NE(fetch(*client, digest, 100).find("/blobs/" + digest), std::string::npos);
  EXPECT_FALSE(content_->size(*oci::Digest::parse(digest))->has_value());
}

TEST_F(RegistryTest, TriesAgainWhatMayPassAndGivesUpInTheEnd) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  std::atomic<int> failures{2};
  int status = 500;
  registry_.set_hook([&](const ServerRequest&) {
    ServerResponse response{
        .status = failures-- > 0 ? status : 0, .headers = {"Retry-After: 0"}, .body = ""};
    return response;
  });
  EXPECT_TRUE(repository()->get_manifest("1").ok());
  failures = 1000;
  for (const auto& [code, errc] :
       {std::pair{503, Errc::unavailable}, {429, Errc::resource_exhausted}}) {
    status = code;
    registry_.server().forget();
    EXPECT_EQ(repository()->get_manifest("1").error().code, errc);
    EXPECT_EQ(registry_.server().requests().size(), options_.attempts_max);
  }
  status = 403;
  registry_.server().forget();
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::permission_denied);
  EXPECT_EQ(registry_.server().requests().size(), 1u);
}

TEST_F(RegistryTest, GivesUpOnAStalledServerAndADeadOneSoon) {
  options_.attempts_max = 1;
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "{}", .stall_ms = 10'000};
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::unavailable);
  const Reference dead = *parse_reference("127.0.0.1:1/app");
  Repository nobody(*transport_, options_, dead, {}, {});
  Result<RemoteDocument> refused = nobody.get_manifest("1");
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_NE(refused.error().message().find("127.0.0.1:1"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(RegistryTest, StopsWhenToldTo) {
  registry_.set_hook([this](const ServerRequest&) {
    stop_.request_stop();
    return ServerResponse{.status = 503, .headers = {"Retry-After: 60"}, .body = ""};
  });
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::cancelled);
}

TEST_F(RegistryTest, AnswersABasicChallengeOnce) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  registry_.set_hook([](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Basic " + base64_encode("me:secret");
    return ServerResponse{
        .status = known ? 0 : 401, .headers = {"WWW-Authenticate: Basic realm=\"r\""}, .body = ""};
  });
  AuthConfig auth;
  auth.username = "me";
  auth.password = "secret";
  EXPECT_TRUE(repository(auth)->get_manifest("1").ok());
  auth.password = "wrong";
  registry_.server().forget();
  Result<RemoteDocument> refused = repository(auth)->get_manifest("1");
  EXPECT_EQ(refused.error().code, Errc::unauthenticated);
  EXPECT_EQ(refused.error().message().find("wrong"), std::string::npos);
  EXPECT_EQ(registry_.server().requests().size(), 2u);
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::unauthenticated);
}

TEST_F(RegistryTest, GetsATokenForItsScopeAndUsesItAgain) {
  const std::string digest = registry_.add_manifest("app", "1", kManifestType, "{}");
  FakeServer tokens([](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Basic " + base64_encode("me:pw") &&
                       request.path == "/token?service=reg&scope=repository%3Aapp%3Apull";
    return ServerResponse{.status = known ? 200 : 401, .headers = {}, .body = R"({"token":"T1"})"};
  });
  registry_.set_hook([&](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Bearer T1";
    return ServerResponse{.status = known ? 0 : 401,
                          .headers = {"WWW-Authenticate: Bearer realm=\"http://" + tokens.host() +
                                      "/token\",service=\"reg\",scope=\"repository:app:pull\""},
                          .body = ""};
  });
  AuthConfig auth;
  auth.username = "me";
  auth.password = "pw";
  auto client = repository(auth);
  ASSERT_TRUE(client->head_manifest("1").ok());
  ASSERT_TRUE(client->get_manifest(digest).ok());
  EXPECT_EQ(tokens.requests().size(), 1u);
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::unauthenticated);
}

TEST_F(RegistryTest, SendsAnIdentityTokenAsARefreshTokenAndARegistryTokenAsItIs) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  FakeServer tokens([](const ServerRequest& request) {
    const bool known = request.method == "POST" &&
                       request.body.find("refresh_token=id%2Ftoken") != std::string::npos;
    return ServerResponse{
        .status = known ? 200 : 400, .headers = {}, .body = R"({"access_token":"T2"})"};
  });
  registry_.set_hook([&](const ServerRequest& request) {
    const std::string sent = request.header("authorization");
    return ServerResponse{
        .status = sent == "Bearer T2" || sent == "Bearer mine" ? 0 : 401,
        .headers = {"WWW-Authenticate: Bearer realm=\"http://" + tokens.host() + "/token\""},
        .body = ""};
  });
  AuthConfig identity;
  identity.identity_token = "id/token";
  EXPECT_TRUE(repository(identity)->get_manifest("1").ok());
  AuthConfig registry_token;
  registry_token.registry_token = "mine";
  EXPECT_TRUE(repository(registry_token)->get_manifest("1").ok());
  EXPECT_EQ(tokens.requests().size(), 1u);
}

TEST_F(RegistryTest, A401LoopEnds) {
  FakeServer tokens([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = R"({"token":"T"})"};
  });
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{
        .status = 401,
        .headers = {"WWW-Authenticate: Bearer realm=\"http://" + tokens.host() + "/token\""},
        .body = ""};
  });
  EXPECT_EQ(repository()->get_manifest("1").error().code, Errc::unauthenticated);
  EXPECT_LE(registry_.server().requests().size(), 2u);
}

TEST_F(RegistryTest, RedirectsDoNotCarryCredentialsToAnotherHost) {
  const std::string bytes = "the blob";
  const std::string digest = registry_.add_blob("app", bytes);
  FakeServer elsewhere(
      [&](const ServerRequest&) {
        return ServerResponse{.status = 200, .headers = {}, .body = bytes};
      },
      "127.0.0.2");
  registry_.set_hook([&](const ServerRequest& request) {
    if (request.header("authorization").empty()) {
      return ServerResponse{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
    }
    return ServerResponse{.status = 307,
                          .headers = {"Location: http://" + elsewhere.host() + "/signed?secret=1"},
                          .body = ""};
  });
  AuthConfig auth;
  auth.username = "me";
  auth.password = "pw";
  auto client = repository(auth);
  EXPECT_EQ(fetch(*client, digest, bytes.size()), "");
  ASSERT_EQ(elsewhere.requests().size(), 1u);
  EXPECT_EQ(elsewhere.requests()[0].header("authorization"), "");
}

TEST_F(RegistryTest, ARedirectLoopAndAForeignSchemeEnd) {
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 302, .headers = {"Location: /again"}, .body = ""};
  });
  EXPECT_NE(repository()->get_manifest("1").error().message().find("more than 8 times"),
            std::string::npos);
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 302, .headers = {"Location: file:///etc/passwd"}, .body = ""};
  });
  EXPECT_FALSE(repository()->get_manifest("1").ok());
}

}  // namespace
}  // namespace berth::image
