// SPDX-License-Identifier: Apache-2.0
// Promise: an image that is pushed to a real registry can be pulled from it in every way that
// registries use: plain, TLS with its own authority, client certificates, basic and token
// authentication, through a mirror.
#include <crypt.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/image/transfer/push.h"
#include "tests/core/image/registry/docker_registry.h"
#include "tests/core/image/registry/session_fixture.h"
#include "tests/core/image/registry/test_certificates.h"

namespace berth::image {
namespace {

// An image of arbitrary bytes, which no test interprets.
struct Pushed {
  oci::Digest manifest;
  std::string json;
  std::vector<oci::Descriptor> blobs;  // the configuration first
  std::vector<std::string> bytes;
};

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string base64url(const std::string& bytes) {
  std::string text = base64_encode(bytes);
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

class RegistryMatrixTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    content_.emplace(*ContentStore::open(dir_ + "/content"));
    image_ = make_image(1 << 20, 1);
  }
  std::unique_ptr<DockerRegistry> registry(const std::string& name, const std::string& http = "",
                                           const std::string& rest = "") {
    std::filesystem::create_directories(dir_ + "/" + name);
    return std::make_unique<DockerRegistry>(dir_ + "/" + name, http, rest);
  }
  Pushed make_image(std::size_t layer_size, unsigned seed) {
    Pushed made;
    made.bytes = {
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"seed\":" + std::to_string(seed) + "}",
        random_bytes(layer_size, seed), random_bytes(layer_size + 1, seed + 1)};
    nlohmann::json manifest = {{"schemaVersion", 2}, {"mediaType", kManifestType}};
    for (const std::string& bytes : made.bytes) {
      oci::Descriptor blob;
      const bool is_config = made.blobs.empty();
      blob.media_type = is_config ? "application/vnd.oci.image.config.v1+json"
                                  : "application/vnd.oci.image.layer.v1.tar";
      blob.digest = oci::digest_of(bytes);
      blob.size = bytes.size();
      EXPECT_TRUE(content_->put(blob.digest, bytes).ok());
      const nlohmann::json shown = {
          {"mediaType", blob.media_type}, {"digest", blob.digest.text()}, {"size", blob.size}};
      if (is_config) {
        manifest["config"] = shown;
      } else {
        manifest["layers"].push_back(shown);
      }
      made.blobs.push_back(blob);
    }
    made.json = manifest.dump();
    made.manifest = oci::digest_of(made.json);
    EXPECT_TRUE(content_->put(made.manifest, made.json).ok());
    return made;
  }
  Result<PushResult> push(const std::string& target, AuthConfig auth = {},
                          std::vector<std::string> mount_from = {}) {
    if (client_ == nullptr) make_client();
    PushRequest request;
    request.target = *oci::parse_reference(target);
    request.auth = std::move(auth);
    request.manifest = image_.manifest;
    request.mount_from = std::move(mount_from);
    progress_ = std::make_unique<PushProgress>();
    return ring_->run_until(push_image(*client_, *content_, std::move(request), *progress_));
  }
  void must_push(const std::string& target, AuthConfig auth = {}) {
    Result<PushResult> pushed = push(target, std::move(auth));
    ASSERT_TRUE(pushed.ok()) << pushed.error().message();
    EXPECT_EQ(pushed->digest, image_.manifest);
  }
  // Manifest by tag and by digest, and every blob, all at the same time.
  void must_pull(const std::string& name, AuthConfig auth = {}) {
    RegistrySession& client = open(name, std::move(auth));
    Result<RemoteDocument> document = manifest(client, client.reference().tag);
    ASSERT_TRUE(document.ok()) << document.error().message();
    EXPECT_EQ(document->digest, image_.manifest);
    EXPECT_EQ(document->media_type, kManifestType);
    EXPECT_EQ(manifest(client, image_.manifest.text())->bytes, image_.json);
    std::vector<std::unique_ptr<MemorySink>> sinks;
    Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
    const auto one = [&](std::size_t i) -> Task<void> {
      oci::Descriptor blob = image_.blobs[i];
      const std::uint64_t came = co_await client.get_blob(std::move(blob), 0, *sinks[i]);
      EXPECT_EQ(came, image_.bytes[i].size());
    };
    for (std::size_t i = 0; i < image_.blobs.size(); ++i) {
      sinks.push_back(std::make_unique<MemorySink>());
      scope.spawn(one(i));
    }
    const auto all = [&]() -> Task<void> { co_await scope.close(); };
    ASSERT_TRUE(ring_->run_until(all()).ok());
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      EXPECT_TRUE(sinks[i]->bytes == image_.bytes[i]) << i;
    }
  }
  std::string tls_lines(const TestCertificate& authority, bool with_clients = false) {
    const TestCertificate server("server", &authority);
    write_file("server.pem", server.pem());
    write_file("server.key", server.key_pem());
    write_file("ca.pem", authority.pem());
    return "  tls:\n    certificate: " + dir_ + "/server.pem\n    key: " + dir_ + "/server.key\n" +
           (with_clients ? "    clientcas: [" + dir_ + "/ca.pem]\n" : "");
  }

  std::optional<ContentStore> content_;
  Pushed image_;
  std::unique_ptr<PushProgress> progress_;
};

TEST_F(RegistryMatrixTest, Plain) {
  const auto server = registry("plain");
  must_push(server->host() + "/team/app:1");
  EXPECT_EQ(progress_->blobs.size(), 3u);
  EXPECT_EQ(progress_->blobs[1].sent, image_.bytes[1].size());
  must_pull(server->host() + "/team/app:1");
  // The registry has every blob, so nothing is sent again.
  Result<PushResult> again = push(server->host() + "/team/app:2");
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again->blobs_present, 3u);
  EXPECT_EQ(again->pushed_bytes, 0u);
  must_pull(server->host() + "/team/app:2");
  // In another repository of the registry the blobs can be mounted.
  Result<PushResult> mounted = push(server->host() + "/other/app:1", {}, {"team/app"});
  ASSERT_TRUE(mounted.ok()) << mounted.error().message();
  EXPECT_EQ(mounted->blobs_mounted, 3u);
  EXPECT_EQ(mounted->pushed_bytes, 0u);
  must_pull(server->host() + "/other/app:1");
}

TEST_F(RegistryMatrixTest, PushSaysWhichBlobIsMissing) {
  const auto server = registry("plain");
  ASSERT_TRUE(content_->remove(image_.blobs[2].digest).ok());
  Result<PushResult> pushed = push(server->host() + "/app:1");
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code, Errc::failed_precondition);
  EXPECT_NE(pushed.error().message().find(image_.blobs[2].digest.text()), std::string::npos);
}

TEST_F(RegistryMatrixTest, APushSucceedsIfHeadIsRefused) {
  for (const int refusal : {403, 405, 501}) {
    registry_.server().forget();
    registry_.set_hook([refusal](const ServerRequest& request) {
      ServerResponse response{.status = refusal, .headers = {}, .body = ""};
      if (request.method == "HEAD") return response;
      response.status = request.method == "POST" ? 202 : 201;
      response.headers = {"Location: /upload"};
      return response;
    });
    Result<PushResult> pushed = push(registry_.host() + "/app:1");
    ASSERT_TRUE(pushed.ok()) << refusal << ": " << pushed.error().message();
    EXPECT_EQ(pushed->blobs_pushed, image_.blobs.size());
    EXPECT_EQ(registry_.server().count("PUT", "/v2/app/manifests/1"), 1u);
  }
}

TEST_F(RegistryMatrixTest, TlsWithItsOwnAuthorityIsHttp2OnOneConnection) {
  const TestCertificate authority("test authority");
  const auto server = registry("tls", tls_lines(authority));
  const std::string url = "https://" + server->host();
  // No known authority signed its certificate: refused, with the reason.
  write_hosts(server->host(), "server = \"" + url + "\"\n");
  Result<RemoteDocument> untrusted = manifest(open(server->host() + "/app:1"), "1");
  ASSERT_FALSE(untrusted.ok());
  EXPECT_EQ(untrusted.error().code, Errc::failed_precondition);
  EXPECT_NE(untrusted.error().message().find("certificate"), std::string::npos);
  // A file beside the configuration, without a restart.
  write_file("certs.d/" + server->host() + "/ca.pem", authority.pem());
  write_hosts(server->host(), "server = \"" + url + "\"\nca = \"ca.pem\"\n");
  must_push(server->host() + "/app:1");
  must_pull(server->host() + "/app:1");
  EXPECT_GT(server->logged("HTTP/2.0"), 0u);
  // Only the rejected handshake and the shared connection.
  EXPECT_EQ(server->logged("HTTP/1.1\" 200"), 0u);
}

TEST_F(RegistryMatrixTest, AnUploadDoesNotLeaveTls) {
  const TestCertificate authority("test authority");
  FakeServer thief([](const ServerRequest&) {
    return ServerResponse{.status = 201, .headers = {}, .body = {}};
  });
  const std::string lines = tls_lines(authority) + "  host: http://" + thief.host() + "\n";
  const auto server = registry("tls", lines);
  write_file("certs.d/" + server->host() + "/ca.pem", authority.pem());
  write_hosts(server->host(), "server = \"https://" + server->host() + "\"\nca = \"ca.pem\"\n");
  Result<PushResult> pushed = push(server->host() + "/app:1");
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code, Errc::permission_denied);
  EXPECT_NE(pushed.error().message().find("without TLS to http://" + thief.host()),
            std::string::npos)
      << pushed.error().message();
  EXPECT_TRUE(thief.requests().empty());
}

TEST_F(RegistryMatrixTest, AnInsecureRegistryThatSpeaksNoTlsIsPushedTo) {
  const auto server = registry("plain");
  options_.registries_conf = write_file(
      "registries.conf", "[[registry]]\nlocation = \"" + server->host() + "\"\ninsecure = true\n");
  must_push(server->host() + "/app:1");
  must_pull(server->host() + "/app:1");
}

TEST_F(RegistryMatrixTest, AnInsecureRegistryWithTlsIsPushedToByTls) {
  const TestCertificate authority("nobody's authority");
  const auto server = registry("tls", tls_lines(authority));
  options_.registries_conf = write_file(
      "registries.conf", "[[registry]]\nlocation = \"" + server->host() + "\"\ninsecure = true\n");
  must_push(server->host() + "/app:1");
  EXPECT_GT(server->logged("HTTP/2.0"), 0u);
}

TEST_F(RegistryMatrixTest, ManySlowReadersShareAnHttp2ConnectionAndAllEnd) {
  const TestCertificate authority("test authority");
  const auto server = registry("tls", tls_lines(authority));
  image_ = make_image(6 << 20, 7);
  write_hosts(server->host(), "server = \"https://" + server->host() + "\"\nskip_verify = true\n");
  must_push(server->host() + "/app:1");
  // Refuses every fourth piece for a moment.
  class Halting final : public DownloadSink {
   public:
    explicit Halting(Ring& ring) : ring_(ring) {}
    Result<Took> write(std::string_view piece) override {
      if (++calls_ % 4 == 0) {
        ring_.post([this] { resume(); });
        return Took::none;
      }
      bytes += piece;
      return Took::all;
    }
    std::string bytes;

   private:
    Ring& ring_;
    int calls_ = 0;
  };
  RegistrySession& client = open(server->host() + "/app:1");
  std::vector<std::unique_ptr<Halting>> sinks;
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  const auto one = [&](std::size_t i) -> Task<void> {
    oci::Descriptor blob = image_.blobs[1 + i % 2];
    const std::uint64_t came = co_await client.get_blob(std::move(blob), 0, *sinks[i]);
    EXPECT_EQ(came, image_.bytes[1 + i % 2].size());
  };
  for (std::size_t i = 0; i < 6; ++i) {
    sinks.push_back(std::make_unique<Halting>(*ring_));
    scope.spawn(one(i));
  }
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  ASSERT_TRUE(ring_->run_until(all()).ok());
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    EXPECT_TRUE(sinks[i]->bytes == image_.bytes[1 + i % 2]) << i;
  }
}

TEST_F(RegistryMatrixTest, CancellingSomeStreamsOfAConnectionLeavesTheOthers) {
  const TestCertificate authority("test authority");
  const auto server = registry("tls", tls_lines(authority));
  image_ = make_image(6 << 20, 9);
  write_hosts(server->host(), "server = \"https://" + server->host() + "\"\nskip_verify = true\n");
  must_push(server->host() + "/app:1");
  RegistrySession& client = open(server->host() + "/app:1");
  std::vector<std::unique_ptr<MemorySink>> sinks;
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  const auto one = [&](std::size_t i) -> Task<void> {
    oci::Descriptor blob = image_.blobs[1 + i % 2];
    const Deadline deadline = i % 2 == 0 ? Deadline::never() : Deadline::after_ms(5 * i);
    Result<std::uint64_t> came =
        co_await with_deadline(*ring_, deadline, client.get_blob(std::move(blob), 0, *sinks[i]))
            .result();
    if (i % 2 == 0) {
      EXPECT_TRUE(came.ok()) << came.error().message();
      EXPECT_TRUE(sinks[i]->bytes == image_.bytes[1]);
    }
  };
  for (std::size_t i = 0; i < 8; ++i) {
    sinks.push_back(std::make_unique<MemorySink>());
    scope.spawn(one(i));
  }
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  ASSERT_TRUE(ring_->run_until(all()).ok());
}

TEST_F(RegistryMatrixTest, ClientCertificate) {
  const TestCertificate authority("test authority");
  const auto server = registry("mtls", tls_lines(authority, true));
  const std::string text = "server = \"https://" + server->host() + "\"\nca = \"../../ca.pem\"\n";
  write_hosts(server->host(), text);
  EXPECT_FALSE(manifest(open(server->host() + "/app:1"), "1").ok());
  const TestCertificate node("node", &authority);
  write_file("certs.d/" + server->host() + "/node.cert", node.pem());
  write_file("certs.d/" + server->host() + "/node.key", node.key_pem());
  write_hosts(server->host(), text + "client = [[\"node.cert\", \"node.key\"]]\n");
  must_push(server->host() + "/app:1");
  must_pull(server->host() + "/app:1");
}

TEST_F(RegistryMatrixTest, BasicAuthentication) {
  crypt_data data{};
  char salt[CRYPT_GENSALT_OUTPUT_SIZE];
  ASSERT_NE(::crypt_gensalt_rn("$2y$", 5, nullptr, 0, salt, sizeof salt), nullptr);
  const std::string hash = ::crypt_r("hunter22", salt, &data);
  write_file("htpasswd", "me:" + hash + "\n");
  const auto server = registry(
      "basic", "", "auth:\n  htpasswd:\n    realm: test\n    path: " + dir_ + "/htpasswd\n");
  EXPECT_EQ(push(server->host() + "/app:1").error().code, Errc::unauthenticated);
  Result<PushResult> wrong = push(server->host() + "/app:1", pair("me", "hunter21"));
  EXPECT_EQ(wrong.error().code, Errc::unauthenticated);
  EXPECT_EQ(wrong.error().message().find("hunter"), std::string::npos);
  must_push(server->host() + "/app:1", pair("me", "hunter22"));
  must_pull(server->host() + "/app:1", pair("me", "hunter22"));
  EXPECT_EQ(manifest(open(server->host() + "/app:1"), "1").error().code, Errc::unauthenticated);
  EXPECT_EQ(log_text().find("hunter"), std::string::npos);
}

// Issues a token for every scope to a client that has the password.
class TokenServer {
 public:
  explicit TokenServer(const TestCertificate& certificate)
      : certificate_(certificate),
        server_([this](const ServerRequest& request) { return answer(request); }) {}
  std::string realm() const { return "http://" + server_.host() + "/token"; }
  std::size_t issued() const { return server_.requests().size(); }
  std::atomic<int> lifetime_s{300};

 private:
  ServerResponse answer(const ServerRequest& request) {
    const std::string wanted = "Basic " + base64_encode("me:hunter22");
    ServerResponse response{.status = 401, .headers = {}, .body = ""};
    if (request.header("authorization") != wanted) return response;
    nlohmann::json access = nlohmann::json::array();
    // scope=repository%3Aapp%3Apull%2Cpush
    for (std::size_t at = request.path.find("scope="); at != std::string::npos;
         at = request.path.find("scope=", at + 1)) {
      std::string scope = request.path.substr(at + 6, request.path.find('&', at) - at - 6);
      for (const auto& [code, character] : {std::pair{"%3A", ":"}, {"%2C", ","}, {"%2F", "/"}}) {
        for (std::size_t i = scope.find(code); i != std::string::npos; i = scope.find(code)) {
          scope.replace(i, 3, character);
        }
      }
      const std::size_t first = scope.find(':');
      const std::size_t last = scope.rfind(':');
      nlohmann::json actions = nlohmann::json::array();
      const std::string list = scope.substr(last + 1);
      actions.push_back(list.substr(0, list.find(',')));
      if (list.find(',') != std::string::npos) actions.push_back(list.substr(list.find(',') + 1));
      access.push_back({{"type", scope.substr(0, first)},
                        {"name", scope.substr(first + 1, last - first - 1)},
                        {"actions", actions}});
    }
    const std::int64_t now = ::time(nullptr);
    const nlohmann::json header = {
        {"typ", "JWT"}, {"alg", "RS256"}, {"x5c", {base64_encode(certificate_.der())}}};
    const nlohmann::json claims = {{"iss", "test issuer"},
                                   {"sub", "me"},
                                   {"aud", "test service"},
                                   {"exp", now + lifetime_s},
                                   {"nbf", now - 60},
                                   {"iat", now},
                                   {"jti", "1"},
                                   {"access", access}};
    const std::string head = base64url(header.dump()) + "." + base64url(claims.dump());
    response.status = 200;
    response.body =
        nlohmann::json{{"token", head + "." + base64url(certificate_.sign(head))}}.dump();
    return response;
  }

  const TestCertificate& certificate_;
  FakeServer server_;
};

TEST_F(RegistryMatrixTest, TokenAuthentication) {
  const TestCertificate signer("test signer");
  TokenServer tokens(signer);
  write_file("signer.pem", signer.pem());
  const auto server = registry(
      "token", "",
      "auth:\n  token:\n    realm: " + tokens.realm() +
          "\n    service: test service\n    issuer: test issuer\n    rootcertbundle: " + dir_ +
          "/signer.pem\n");
  EXPECT_EQ(push(server->host() + "/team/app:1").error().code, Errc::unauthenticated);
  must_push(server->host() + "/team/app:1", pair("me", "hunter22"));
  const std::size_t before = tokens.issued();
  must_pull(server->host() + "/team/app:1", pair("me", "hunter22"));
  EXPECT_EQ(tokens.issued(), before + 1) << "one token for one pull";
  // A mount has to read the other repository, so the token is requested for both.
  Result<PushResult> mounted =
      push(server->host() + "/other/app:1", pair("me", "hunter22"), {"team/app"});
  ASSERT_TRUE(mounted.ok()) << mounted.error().message();
  EXPECT_EQ(mounted->blobs_mounted, 3u);
  // The old token has expired meanwhile: a new one is requested.
  tokens.lifetime_s = -120;
  RegistrySession& client = open(server->host() + "/team/app:1", pair("me", "hunter22"));
  EXPECT_FALSE(manifest(client, "1").ok());
  tokens.lifetime_s = 300;
  EXPECT_TRUE(manifest(client, "1").ok());
  EXPECT_EQ(log_text().find("hunter22"), std::string::npos);
}

TEST_F(RegistryMatrixTest, BehindAMirror) {
  const auto upstream = registry("upstream");
  must_push(upstream->host() + "/app:1");
  const auto cache =
      registry("cache", "", "proxy: {remoteurl: \"http://" + upstream->host() + "\"}\n");
  write_hosts(upstream->host(), "server = \"http://" + upstream->host() + "\"\n[host.\"http://" +
                                    cache->host() +
                                    "\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
  make_client();
  must_pull(upstream->host() + "/app:1");
  // The registry writes the line after it has answered.
  for (int i = 0; i < 500 && cache->logged("GET /v2/app/blobs/") < 3; ++i) ::usleep(10'000);
  EXPECT_GE(cache->logged("GET /v2/app/blobs/"), 3u);
  // The mirror stops: the registry itself serves.
  cache->stop();
  must_pull(upstream->host() + "/app:1");
  // And a push goes to the registry, never to the mirror.
  must_push(upstream->host() + "/app:3");
}

}  // namespace
}  // namespace berth::image
