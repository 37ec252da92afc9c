// SPDX-License-Identifier: Apache-2.0
// Promise: credentials are read in every form of the CRI and used for their host only; challenges
// are parsed as RFC 9110 specifies.
#include "core/image/registry/auth.h"

#include <gtest/gtest.h>

namespace berth::image {
namespace {

TEST(Base64, DecodingRestoresTheBytes) {
  for (const std::string& text : {std::string(), std::string("a"), std::string("ab"),
                                  std::string("abc"), std::string("\0\xff", 2)}) {
    Result<std::string> back = base64_decode(base64_encode(text));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, text);
  }
  EXPECT_EQ(*base64_decode("dTpw"), "u:p");
  EXPECT_EQ(*base64_decode("dTpwMQ"), "u:p1");  // without padding
  EXPECT_FALSE(base64_decode("!!!!").ok());
}

TEST(EffectiveAuth, TakesThePairOutOfAuth) {
  AuthConfig config;
  config.auth = base64_encode("user:pa:ss");
  Result<AuthConfig> effective = effective_auth(config, "r.io");
  ASSERT_TRUE(effective.ok());
  EXPECT_EQ(effective->username, "user");
  EXPECT_EQ(effective->password, "pa:ss");
}

TEST(EffectiveAuth, RefusesGarbageWithoutQuotingIt) {
  AuthConfig config;
  config.auth = "c2VjcmV0";  // "secret", not a pair
  Result<AuthConfig> effective = effective_auth(config, "r.io");
  ASSERT_FALSE(effective.ok());
  EXPECT_EQ(effective.error().message().find("c2VjcmV0"), std::string::npos);
}

TEST(EffectiveAuth, IsEmptyForAnotherHost) {
  AuthConfig config;
  config.username = "u";
  config.server_address = "https://other.io/v1/";
  EXPECT_TRUE(effective_auth(config, "r.io")->empty());
  EXPECT_FALSE(effective_auth(config, "other.io")->empty());
  config.server_address = "https://index.docker.io/v1/";
  EXPECT_FALSE(effective_auth(config, "registry-1.docker.io")->empty());
}

TEST(Challenge, IsReadWithQuotesAndCommasInValues) {
  Result<Challenge> challenge = parse_challenge(
      "Bearer realm=\"https://auth.io/token\",service=\"reg \\\"x\\\"\", "
      "Scope=\"repository:a/b:pull,push\"");
  ASSERT_TRUE(challenge.ok()) << challenge.error().message();
  EXPECT_EQ(challenge->scheme, "bearer");
  EXPECT_EQ(challenge->parameters.at("realm"), "https://auth.io/token");
  EXPECT_EQ(challenge->parameters.at("service"), "reg \"x\"");
  EXPECT_EQ(challenge->parameters.at("scope"), "repository:a/b:pull,push");
}

TEST(Challenge, OfSeveralTheBearerIsAnsweredThenTheBasic) {
  const struct {
    const char* header;
    const char* scheme;
    const char* realm;
  } cases[] = {
      {R"(Bearer realm="b", Basic realm="x")", "bearer", "b"},
      {R"(Basic realm="x", Bearer realm="b",service="s")", "bearer", "b"},
      {R"(Negotiate, Basic realm="x")", "basic", "x"},
      {R"(Negotiate YII+a/b==, Bearer realm="b")", "bearer", "b"},
      {R"(Digest realm="d", NTLM)", "digest", "d"},
      {R"(Bearer realm="b", Basic realm="unfinished)", "bearer", "b"},
      {R"(Basic realm="first", Basic realm="second")", "basic", "first"},
  };
  for (const auto& c : cases) {
    Result<Challenge> challenge = parse_challenge(c.header);
    ASSERT_TRUE(challenge.ok()) << c.header;
    EXPECT_EQ(challenge->scheme, c.scheme) << c.header;
    EXPECT_EQ(challenge->parameters["realm"], c.realm) << c.header;
  }
}

TEST(Challenge, RefusesAHeaderWithoutAScheme) {
  for (const char* header : {"", "  ", "=x", ",", "Bearer realm=\"unfinished"}) {
    EXPECT_FALSE(parse_challenge(header).ok()) << header;
  }
  EXPECT_EQ(parse_challenge("Basic")->scheme, "basic");
}

}  // namespace
}  // namespace berth::image
