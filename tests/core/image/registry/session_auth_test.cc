// SPDX-License-Identifier: Apache-2.0
// Promise: credentials go only to their own host, in the form that the challenge asks for. They
// are not sent to another host, not printed, and not written to disk.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <cstring>

#include "tests/core/image/registry/session_fixture.h"

namespace berth::image {
namespace {

class RegistryAuthTest : public SessionTest {
 protected:
  // Serves requests that send `wanted`, and answers any other with `challenge`.
  void require(const std::string& wanted, const std::string& challenge) {
    registry_.add_manifest("app", "1", kManifestType, "{}");
    registry_.set_hook([=](const ServerRequest& request) {
      return ServerResponse{.status = request.header("authorization") == wanted ? 0 : 401,
                            .headers = {"WWW-Authenticate: " + challenge},
                            .body = ""};
    });
  }
  static std::string bearer(const FakeServer& tokens) {
    return "Bearer realm=\"http://" + tokens.host() +
           "/token\",service=\"reg\",scope=\"repository:app:pull\"";
  }
};

TEST_F(RegistryAuthTest, AnswersABasicChallengeOnce) {
  require("Basic " + base64_encode("me:secret"), "Basic realm=\"r\"");
  EXPECT_TRUE(manifest(session(pair("me", "secret")), "1").ok());
  registry_.server().forget();
  Result<RemoteDocument> refused = manifest(session(pair("me", "wrong")), "1");
  EXPECT_EQ(refused.error().code, Errc::unauthenticated);
  EXPECT_EQ(refused.error().message().find("wrong"), std::string::npos);
  EXPECT_EQ(registry_.server().requests().size(), 2u);
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::unauthenticated);
}

TEST_F(RegistryAuthTest, TakesEveryFormOfTheCrisAuthConfig) {
  require("Basic " + base64_encode("me:se:cret"), "Basic");
  AuthConfig encoded;
  encoded.auth = base64_encode("me:se:cret");
  EXPECT_TRUE(manifest(session(encoded), "1").ok());
  AuthConfig elsewhere = pair("me", "se:cret");
  elsewhere.server_address = "other.example";
  EXPECT_EQ(manifest(session(elsewhere), "1").error().code, Errc::unauthenticated);
  elsewhere.server_address = "http://" + registry_.host() + "/v1/";
  EXPECT_TRUE(manifest(session(elsewhere), "1").ok());
  AuthConfig garbage;
  garbage.auth = "%%%not-base64%%%";
  Result<std::unique_ptr<RegistrySession>> broken = try_open(registry_.host() + "/app", garbage);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().message().find("not-base64"), std::string::npos);
}

TEST_F(RegistryAuthTest, GetsATokenForItsScopeAndUsesItAgain) {
  FakeServer tokens([](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Basic " + base64_encode("me:pw") &&
                       request.path == "/token?service=reg&scope=repository%3Aapp%3Apull";
    return ServerResponse{.status = known ? 200 : 401, .headers = {}, .body = R"({"token":"T1"})"};
  });
  require("Bearer T1", bearer(tokens));
  RegistrySession& client = session(pair("me", "pw"));
  ASSERT_TRUE(head(client, "1").ok());
  ASSERT_TRUE(manifest(client, "1").ok());
  EXPECT_EQ(tokens.requests().size(), 1u);
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::unauthenticated);
}

TEST_F(RegistryAuthTest, AChallengeInALineOfItsOwnDoesNotHideTheBearers) {
  FakeServer tokens([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = R"({"token":"T1"})"};
  });
  for (const char* other : {"Basic realm=\"r\"", "Negotiate"}) {
    for (const bool last : {false, true}) {
      require("Bearer T1", last ? bearer(tokens) + "\r\nWWW-Authenticate: " + other
                                : std::string(other) + "\r\nWWW-Authenticate: " + bearer(tokens));
      Result<RemoteDocument> got = manifest(session(pair("me", "pw")), "1");
      EXPECT_TRUE(got.ok()) << other << ": " << (got.ok() ? "" : got.error().message());
    }
  }
}

TEST_F(RegistryAuthTest, GetsANewTokenWhenTheOldOneHasExpired) {
  std::atomic<int> issued{0};
  FakeServer tokens([&](const ServerRequest&) {
    return ServerResponse{.status = 200,
                          .headers = {},
                          .body = R"({"access_token":"T)" + std::to_string(++issued) + "\"}"};
  });
  registry_.add_manifest("app", "1", kManifestType, "{}");
  const std::string challenge = bearer(tokens);
  std::atomic<int> valid{1};
  registry_.set_hook([&](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Bearer T" + std::to_string(valid);
    return ServerResponse{
        .status = known ? 0 : 401, .headers = {"WWW-Authenticate: " + challenge}, .body = ""};
  });
  RegistrySession& client = session();
  ASSERT_TRUE(manifest(client, "1").ok());
  valid = 2;
  ASSERT_TRUE(manifest(client, "1").ok());
  EXPECT_EQ(issued, 2);
}

TEST_F(RegistryAuthTest, BlobsAtTheSameTimeShareOneToken) {
  FakeServer tokens([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = R"({"token":"T"})", .stall_ms = 50};
  });
  require("Bearer T", bearer(tokens));
  RegistrySession& client = session();
  Scope scope(ring_->ready(), [](Error error) { ADD_FAILURE() << error.message(); });
  const auto one = [&]() -> Task<void> {
    RemoteDocument document = co_await client.get_manifest("1");
    EXPECT_EQ(document.bytes, "{}");
  };
  for (int i = 0; i < 8; ++i) scope.spawn(one());
  const auto all = [&]() -> Task<void> { co_await scope.close(); };
  ASSERT_TRUE(ring_->run_until(all()).ok());
  EXPECT_EQ(tokens.requests().size(), 1u);
}

TEST_F(RegistryAuthTest, SendsAnIdentityTokenAsARefreshTokenAndARegistryTokenAsItIs) {
  FakeServer tokens([](const ServerRequest& request) {
    const bool known =
        request.method == "POST" &&
        request.body.find("refresh_token=id%2Ftoken") != std::string::npos &&
        request.body.find("service=reg&scope=repository%3Aapp%3Apull") != std::string::npos;
    return ServerResponse{
        .status = known ? 200 : 400, .headers = {}, .body = R"({"access_token":"T2"})"};
  });
  AuthConfig identity;
  identity.identity_token = "id/token";
  require("Bearer T2", bearer(tokens));
  EXPECT_TRUE(manifest(session(identity), "1").ok());
  AuthConfig registry_token;
  registry_token.registry_token = "mine";
  require("Bearer mine", bearer(tokens));
  EXPECT_TRUE(manifest(session(registry_token), "1").ok());
  EXPECT_EQ(tokens.requests().size(), 1u);
}

TEST_F(RegistryAuthTest, A401LoopEnds) {
  FakeServer tokens([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = R"({"token":"T"})"};
  });
  require("never", bearer(tokens));
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::unauthenticated);
  EXPECT_LE(registry_.server().requests().size(), 2u);
  // Every token is new, and the registry refuses all of them.
  std::atomic<int> issued{0};
  FakeServer fresh([&](const ServerRequest&) {
    return ServerResponse{
        .status = 200, .headers = {}, .body = R"({"token":"T)" + std::to_string(++issued) + "\"}"};
  });
  require("never", bearer(fresh));
  registry_.server().forget();
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::unauthenticated);
  EXPECT_LE(registry_.server().requests().size(), 2u);
}

TEST_F(RegistryAuthTest, ATokenServerThatMisbehavesIsNamed) {
  ServerResponse answer;
  FakeServer tokens([&](const ServerRequest&) { return answer; });
  require("Bearer T", bearer(tokens));
  options_.attempts_max = 1;
  for (const auto& [status, body] : {std::pair{200, std::string("no json")},
                                     {200, std::string(R"({"token":"a\nb"})")},
                                     {200, std::string(300'000, 'x')},
                                     {403, std::string()},
                                     {500, std::string()},
                                     {200, std::string("[]")},
                                     {200, std::string(R"({"token":7})")}}) {
    answer.status = status;
    answer.body = body;
    Result<RemoteDocument> refused = manifest(session(), "1");
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message().find("http://" + tokens.host() + "/token"),
              std::string::npos)
        << refused.error().message();
  }
}

TEST_F(RegistryAuthTest, RedirectsToAnotherHostCarryNoSecrets) {
  const std::string bytes = "the blob";
  const std::string digest = registry_.add_blob("app", bytes);
  FakeServer elsewhere(
      [&](const ServerRequest& request) {
        // Its challenge is not answered.
        const bool first = request.path.find("again") == std::string::npos;
        return ServerResponse{
            .status = first ? 200 : 401, .headers = {"WWW-Authenticate: Basic"}, .body = bytes};
      },
      "127.0.0.2");
  std::string location = "/signed?secret=1";
  registry_.set_hook([&](const ServerRequest& request) {
    if (request.header("authorization").empty()) {
      return ServerResponse{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
    }
    return ServerResponse{
        .status = 307, .headers = {"Location: http://" + elsewhere.host() + location}, .body = ""};
  });
  write_hosts(registry_.host(), "server = \"http://" + registry_.host() +
                                    "\"\n[header]\nX-Api-Key = \"key-of-the-registry\"\n");
  RegistrySession& client = session(pair("me", "pw-of-mine"));
  EXPECT_EQ(fetch(client, digest, bytes.size()), "");
  location = "/again?secret=1";
  const std::string refused = fetch(client, digest, bytes.size());
  EXPECT_NE(refused.find("HTTP 401"), std::string::npos);
  EXPECT_EQ(refused.find("secret"), std::string::npos);
  EXPECT_EQ(registry_.server().requests()[0].header("x-api-key"), "key-of-the-registry");
  ASSERT_GE(elsewhere.requests().size(), 2u);
  for (const ServerRequest& request : elsewhere.requests()) {
    EXPECT_EQ(request.header("authorization"), "");
    EXPECT_EQ(request.header("x-api-key"), "");
    EXPECT_EQ(request.header("cookie"), "");
  }
}

// The host that stores a registry's blobs could name a token server of its own, which would receive
// user name and password.
TEST_F(RegistryAuthTest, AChallengeOfARedirectTargetIsNotAnswered) {
  const std::string bytes = "the blob";
  const std::string digest = registry_.add_blob("app", bytes);
  std::string realm;
  FakeServer elsewhere(
      [&realm](const ServerRequest&) {
        return ServerResponse{
            .status = 401,
            .headers = {"WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"s\""},
            .body = R"({"token":"a-token"})"};
      },
      "127.0.0.2");
  realm = "http://" + elsewhere.host() + "/token";
  registry_.set_hook([&elsewhere](const ServerRequest& request) {
    ServerResponse response{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
    if (request.header("authorization").empty()) return response;
    return ServerResponse{
        .status = 307, .headers = {"Location: http://" + elsewhere.host() + "/store"}, .body = ""};
  });
  RegistrySession& client = session(pair("me", "pw-of-mine"));
  // The first call is challenged, the second sends credentials at once.
  for (std::size_t call = 1; call <= 2; ++call) {
    const std::string refused = fetch(client, digest, bytes.size());
    EXPECT_NE(refused.find("HTTP 401"), std::string::npos) << refused;
    EXPECT_EQ(elsewhere.requests().size(), call);
  }
  for (const ServerRequest& request : elsewhere.requests()) {
    EXPECT_EQ(request.path, "/store");
    EXPECT_EQ(request.header("authorization"), "");
  }
}

// An address outside 127.0.0.0/8, on the loopback device of the test's own network.
bool add_address(const char* address) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo:1");
  auto* const wanted = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  wanted->sin_family = AF_INET;
  return ::inet_pton(AF_INET, address, &wanted->sin_addr) == 1 &&
         ::ioctl(socket.get(), SIOCSIFADDR, &request) == 0;
}

// Without TLS, user name and password could be read on the way to a mirror, which only has to send
// a challenge to get them.
TEST_F(RegistryAuthTest, ARemoteMirrorWithoutTlsGetsNoCredentials) {
  if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
  ASSERT_TRUE(add_address("192.0.2.1"));
  FakeServer mirror(
      [](const ServerRequest&) {
        return ServerResponse{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
      },
      "192.0.2.1");
  require("Basic " + base64_encode("me:pw"), "Basic");
  write_hosts(registry_.host(), "server = \"http://" + registry_.host() + "\"\n[host.\"http://" +
                                    mirror.host() +
                                    "\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
  EXPECT_TRUE(manifest(session(pair("me", "pw")), "1").ok());
  ASSERT_FALSE(mirror.requests().empty());
  for (const ServerRequest& request : mirror.requests()) {
    EXPECT_EQ(request.header("authorization"), "");
  }
}

TEST_F(RegistryAuthTest, ASameOriginRedirectKeepsTheCredentials) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  registry_.set_hook([](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (request.header("authorization") != "Basic " + base64_encode("me:pw")) {
      response.status = 401;
      response.headers = {"WWW-Authenticate: Basic"};
    } else if (request.path == "/v2/app/manifests/2") {
      response.status = 308;
      response.headers = {"Location: 1"};
    }
    return response;
  });
  EXPECT_EQ(manifest(session(pair("me", "pw")), "2")->bytes, "{}");
}

TEST_F(RegistryAuthTest, AProxyForwardsRequestsAndGetsNoSecrets) {
  FakeServer proxy([](const ServerRequest& request) {
    ServerResponse response{.status = 200, .headers = {}, .body = "{}"};
    if (request.method == "CONNECT") response.status = 403;
    return response;
  });
  const std::string url = "http://user:proxy-pw@" + proxy.host();
  ::setenv("HTTP_PROXY", url.c_str(), 1);
  ::setenv("HTTPS_PROXY", url.c_str(), 1);
  ::setenv("NO_PROXY", "direct.test", 1);
  options_.insecure_hosts = {"plain.test"};
  options_.attempts_max = 1;
  make_client();
  ::unsetenv("HTTP_PROXY");
  ::unsetenv("HTTPS_PROXY");
  ::unsetenv("NO_PROXY");
  EXPECT_TRUE(manifest(open("plain.test/app:1"), "1").ok());
  ASSERT_EQ(proxy.requests().size(), 1u);
  EXPECT_EQ(proxy.requests()[0].path, "http://plain.test/v2/app/manifests/1");
  // In a tunnel the proxy sees nothing of the request. The token would be sent at once.
  AuthConfig token;
  token.registry_token = "token-of-the-registry";
  Result<RemoteDocument> refused = manifest(open("secure.test/app:1", token), "1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message().find("proxy-pw"), std::string::npos);
  ASSERT_EQ(proxy.requests().size(), 2u);
  EXPECT_EQ(proxy.requests()[1].method, "CONNECT");
  EXPECT_EQ(proxy.requests()[1].header("authorization"), "");
  // Requests to loopback and to exceptions go directly.
  registry_.add_manifest("app", "1", kManifestType, "{}");
  EXPECT_TRUE(manifest(session(), "1").ok());
  EXPECT_FALSE(manifest(open("direct.test/app:1"), "1").ok());
  EXPECT_EQ(proxy.requests().size(), 2u);
}

TEST_F(RegistryAuthTest, AHostThatRepeatsSecretsDoesNotGetThemIntoTexts) {
  registry_.set_hook([](const ServerRequest& request) {
    const std::string sent = request.header("authorization");
    if (sent.empty()) {
      return ServerResponse{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
    }
    return ServerResponse{.status = 500,
                          .headers = {},
                          .body = R"({"errors":[{"code":"DENIED","message":"you sent )" + sent +
                                  " and hunter22 and " + request.header("x-key") + "\"}]}"};
  });
  // With two hosts, the log has a line about the one that rests.
  write_hosts(registry_.host(), "[host.\"http://" + registry_.host() + "\"]\n[host.\"http://" +
                                    registry_.host() + "\".header]\nX-Key = \"header-secret\"\n");
  RegistrySession& client = session(pair("me", "hunter22"));
  Result<RemoteDocument> failed = manifest(client, "1");
  ASSERT_FALSE(failed.ok());
  std::string text = failed.error().message();
  EXPECT_NE(text.find("***"), std::string::npos) << text;
  EXPECT_NE(log_text().find("rests"), std::string::npos);
  text += log_text();
  for (const std::string& secret :
       {std::string("hunter22"), base64_encode("me:hunter22"), std::string("header-secret")}) {
    EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace berth::image
