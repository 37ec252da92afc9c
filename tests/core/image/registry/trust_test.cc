// SPDX-License-Identifier: Apache-2.0
// Promise: only the registry gets the client certificate, credentials and configured headers. The
// target of a redirect and a token server do not, not even on another port of the same host. A
// request that began with TLS never continues without it.
#include "tests/core/image/registry/session_fixture.h"
#include "tests/core/image/registry/test_certificates.h"
#include "tests/core/image/registry/tls_front.h"

namespace berth::image {
namespace {

class RegistryTrustTest : public SessionTest {
 protected:
  // A registry with TLS that authenticates clients by a certificate, a header and a password, and a
  // second server on another port of its host.
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    authority_ = std::make_unique<TestCertificate>("test authority");
    const TestCertificate server("server", authority_.get());
    const TestCertificate node("node", authority_.get());
    home_ = std::make_unique<TlsFront>(registry_.server(), server);
    elsewhere_ = std::make_unique<TlsFront>(behind_, server);
    const std::string dir = "certs.d/" + home_->host();
    write_file(dir + "/ca.pem", authority_->pem());
    write_file(dir + "/node.cert", node.pem());
    write_file(dir + "/node.key", node.key_pem());
    write_hosts(home_->host(), "server = \"https://" + home_->host() +
                                   "\"\nca = \"ca.pem\"\nclient = [[\"node.cert\", "
                                   "\"node.key\"]]\n[header]\nX-Api-Key = \"key-of-mine\"\n");
    digest_ = oci::digest_of(kBytes).text();
  }
  RegistrySession& at_home() { return open(home_->host() + "/app:1", pair("me", "pw-of-mine")); }
  // Redirects authenticated requests for blobs to `location`.
  void redirect_to(const std::string& location) {
    registry_.set_hook([location](const ServerRequest& request) {
      ServerResponse response{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
      if (request.header("authorization").empty()) return response;
      response = {.status = 307, .headers = {"Location: " + location}, .body = ""};
      if (request.path == "/here") response = {.status = 200, .headers = {}, .body = kBytes};
      return response;
    });
  }
  static void expect_stranger(const std::vector<ServerRequest>& requests) {
    ASSERT_FALSE(requests.empty());
    for (const ServerRequest& request : requests) {
      EXPECT_EQ(request.header("authorization"), "");
      EXPECT_EQ(request.header("x-api-key"), "");
    }
  }

  static constexpr const char* kBytes = "the blob";
  std::string digest_;
  std::unique_ptr<TestCertificate> authority_;
  FakeServer behind_{[](const ServerRequest& request) {
    const bool token = request.path.starts_with("/token");
    return ServerResponse{
        .status = 200, .headers = {}, .body = token ? R"({"token":"a-token"})" : kBytes};
  }};
  std::unique_ptr<TlsFront> home_;
  std::unique_ptr<TlsFront> elsewhere_;
};

TEST_F(RegistryTrustTest, ARedirectToAnotherPortCarriesNoSecrets) {
  redirect_to("https://" + elsewhere_->host() + "/store?signature=1");
  EXPECT_EQ(fetch(at_home(), digest_, 8), "");
  EXPECT_GT(home_->certificates(), 0);
  EXPECT_EQ(registry_.server().requests().back().header("x-api-key"), "key-of-mine");
  EXPECT_GT(elsewhere_->handshakes(), 0);
  EXPECT_EQ(elsewhere_->certificates(), 0);
  expect_stranger(behind_.requests());
}

TEST_F(RegistryTrustTest, ARedirectWithinTheRegistryKeepsTheSecrets) {
  redirect_to("https://" + home_->host() + "/here");
  EXPECT_EQ(fetch(at_home(), digest_, 8), "");
  EXPECT_EQ(home_->certificates(), home_->handshakes());
  const ServerRequest last = registry_.server().requests().back();
  EXPECT_EQ(last.path, "/here");
  EXPECT_EQ(last.header("authorization"), "Basic " + base64_encode("me:pw-of-mine"));
  EXPECT_EQ(last.header("x-api-key"), "key-of-mine");
}

TEST_F(RegistryTrustTest, ARedirectNeverLeavesTls) {
  for (const std::string& place : {behind_.host() + "/store", registry_.host() + "/here"}) {
    redirect_to("http://" + place + "?signature=1");
    registry_.server().forget();
    const std::string refused = fetch(at_home(), digest_, 8);
    EXPECT_NE(refused.find("redirected from https to http://" + place), std::string::npos)
        << refused;
    EXPECT_EQ(refused.find("signature"), std::string::npos) << refused;
    EXPECT_TRUE(behind_.requests().empty());
    EXPECT_EQ(registry_.server().count("GET", "/here?signature=1"), 0u);
  }
}

TEST_F(RegistryTrustTest, ATokenServerOnAnotherPortSeesNoCertificateAndNoHeader) {
  registry_.add_blob("app", kBytes);
  const std::string realm = "https://" + elsewhere_->host() + "/token";
  registry_.set_hook([realm](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (request.header("authorization") == "Bearer a-token") return response;
    response.status = 401;
    response.headers = {"WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"s\""};
    return response;
  });
  EXPECT_EQ(fetch(at_home(), digest_, 8), "");
  EXPECT_GT(home_->certificates(), 0);
  EXPECT_GT(elsewhere_->handshakes(), 0);
  EXPECT_EQ(elsewhere_->certificates(), 0);
  ASSERT_EQ(behind_.requests().size(), 1u);
  EXPECT_EQ(behind_.requests()[0].header("x-api-key"), "");
}

TEST_F(RegistryTrustTest, ATokenOfTheRegistryItselfIsAskedForWithTheCertificate) {
  const std::string realm = "https://" + home_->host() + "/token";
  registry_.set_hook([realm](const ServerRequest& request) {
    ServerResponse response{.status = 200, .headers = {}, .body = kBytes};
    if (request.path.starts_with("/token")) {
      response.body = R"({"token":"a-token"})";
    } else if (request.header("authorization") != "Bearer a-token") {
      response.status = 401;
      response.headers = {"WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"s\""};
    }
    return response;
  });
  EXPECT_EQ(fetch(at_home(), digest_, 8), "");
  // Each answer closes its connection, so the token request made a handshake of its own.
  EXPECT_EQ(home_->handshakes(), 3);
  EXPECT_EQ(home_->certificates(), 3);
}

TEST_F(RegistryTrustTest, CredentialsAreNotSentForATokenWithoutTls) {
  const std::string realm = "http://" + behind_.host() + "/token?secret=1";
  registry_.set_hook([realm](const ServerRequest&) {
    return ServerResponse{
        .status = 401,
        .headers = {"WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"s\""},
        .body = ""};
  });
  const std::string refused = fetch(at_home(), digest_, 8);
  EXPECT_NE(refused.find("sent without TLS to http://" + behind_.host() + "/token"),
            std::string::npos)
      << refused;
  EXPECT_EQ(refused.find("secret=1"), std::string::npos) << refused;
  EXPECT_TRUE(behind_.requests().empty());
}

}  // namespace
}  // namespace berth::image
