// SPDX-License-Identifier: Apache-2.0
// Promise: hosts.toml, registries.conf and proxy variables have the same meaning as in other tools;
// an error names file, line and key.
#include <gtest/gtest.h>

#include "core/image/config/hosts_toml.h"
#include "core/image/config/image_name.h"
#include "core/image/config/registries_conf.h"
#include "core/image/config/route.h"
#include "core/image/http/proxy.h"
#include "core/image/http/url.h"

namespace berth::image {
namespace {

std::string hosts_error(const std::string& text) {
  Result<std::vector<HostEntry>> entries = parse_hosts_toml(text, "/d", "/d/hosts.toml");
  return entries.ok() ? "" : entries.error().message();
}

TEST(HostsToml, HostsComeInTheOrderOfTheFileAndTheServerLast) {
  Result<std::vector<HostEntry>> entries = parse_hosts_toml(R"(
server = "https://upstream.test"
skip_verify = true
[host."https://z.test:5000"]
  capabilities = ["pull", "Resolve"]
  ca = ["ca.pem", "/abs/other.pem"]
  client = [["c.cert", "c.key"], ["d.cert", "d.key"]]
  dial_timeout = "1m30s"
  [host."https://z.test:5000".header]
    x-one = "1"
    x-two = ["2", ""]
[host."http://a.test/prefix"]
  override_path = true
  client = "both.pem"
)",
                                                            "/d", "/d/hosts.toml");
  ASSERT_TRUE(entries.ok()) << entries.error().message();
  ASSERT_EQ(entries->size(), 3u);
  const HostEntry& first = (*entries)[0];
  EXPECT_EQ(first.address, "https://z.test:5000");
  EXPECT_TRUE(first.can_pull && first.can_resolve);
  EXPECT_FALSE(first.can_push || first.skip_verify);
  EXPECT_EQ(first.ca, (std::vector<std::string>{"/d/ca.pem", "/abs/other.pem"}));
  EXPECT_EQ(first.client_cert, "/d/c.cert");
  EXPECT_EQ(first.client_key, "/d/c.key");
  EXPECT_EQ(first.dial_timeout_ms, 90'000);
  EXPECT_EQ(first.headers, (std::vector<std::string>{"x-one: 1", "x-two: 2", "x-two;"}));
  const HostEntry& second = (*entries)[1];
  EXPECT_EQ(second.address, "http://a.test/prefix");
  EXPECT_TRUE(second.override_path && second.can_push);
  EXPECT_EQ(second.client_cert, "/d/both.pem");
  EXPECT_EQ(second.client_key, "/d/both.pem");
  EXPECT_EQ((*entries)[2].address, "https://upstream.test");
  EXPECT_TRUE((*entries)[2].skip_verify);
}

TEST(HostsToml, AnEmptyFileIsTheRegistryItself) {
  Result<std::vector<HostEntry>> entries = parse_hosts_toml("", "/d", "f");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ((*entries)[0].address, "");
  EXPECT_TRUE((*entries)[0].can_pull && (*entries)[0].can_resolve && (*entries)[0].can_push);
}

TEST(HostsToml, ErrorsNameTheKey) {
  const std::string host = "[host.\"https://m.test\"]\n";
  EXPECT_EQ(hosts_error(host + "capabilities = [\"pul\"]\n"),
            "/d/hosts.toml:2: host.\"https://m.test\".capabilities: must be of \"pull\", "
            "\"resolve\" and \"push\"");
  EXPECT_NE(hosts_error(host + "skip_verify = 1\n").find(":2: host.\"https://m.test\".skip_verify"),
            std::string::npos);
  EXPECT_NE(hosts_error(host + "dial_timeout = \"soon\"\n").find("dial_timeout: must be a dur"),
            std::string::npos);
  EXPECT_NE(hosts_error(host + "ca = 7\n").find(".ca: must be a string or a list"),
            std::string::npos);
  EXPECT_NE(hosts_error(host + "client = [[\"only\"]]\n").find(".client: must be a path"),
            std::string::npos);
  EXPECT_NE(hosts_error("server = \"ftp://x\"\n").find("server: is neither http nor https"),
            std::string::npos);
  EXPECT_NE(hosts_error("server = \"https://u:p@x\"\n").find("server: is not the address"),
            std::string::npos);
  EXPECT_EQ(hosts_error("server = \"https://u:p@x\"\n").find("u:p"), std::string::npos);
  EXPECT_NE(hosts_error("host = 3\n").find("/d/hosts.toml:1: host: must be a table"),
            std::string::npos);
  EXPECT_NE(hosts_error("[host\n").find("/d/hosts.toml:1: not TOML"), std::string::npos);
}

// Invalid input on which the parser's own assertions, or its unreachable code, would abort.
TEST(HostsToml, InputThatBreaksTheParsersAssumptionsIsAnError) {
  for (const char* text : {"[$", "[[$", "[\x01]", "$ = 1", "a = _", "\xcc\x96", "\xc3\xa9 = 1",
                           "[\xc2\xa1]", "a\xcc\x96 = 1", "a = \xe3\x81\x82", "a = {\xd2\x99",
                           "\xef\xb7\x8f", "a = \"\"\"\\\n\xc3\xa9\"\"\" \xc3\xa9"}) {
    EXPECT_NE(hosts_error(text).find("not TOML"), std::string::npos) << text;
  }
  EXPECT_EQ(hosts_error("unknown = \"\"\"\\\n\xc3\xa9\"\"\" # \xcc\x96\n"), "");
}

// Tables are destroyed by recursion: a megabyte of "a.a.a" overflows the stack.
TEST(HostsToml, AKeyOfManyPartsIsRefused) {
  const auto key_of = [](int parts) {
    std::string key = "a";
    for (int i = 1; i < parts; ++i) key += ".a";
    return key;
  };
  const std::string deep = key_of(500'000);
  EXPECT_EQ(hosts_error("\n" + deep + " = 1\n"), "/d/hosts.toml:2: a key has more than 32 parts");
  for (const std::string before :
       {"[", "[[", "a = {b = 1, ", "a = '''''' # '''\n", R"(a = {b = """\"""""", )",
        "a = {b = '''c''''', ", R"(a = {b = "\"", )", R"(a = {b = '\', )"}) {
    EXPECT_NE(hosts_error(before + deep + " = 1").find("32 parts"), std::string::npos) << before;
  }
  EXPECT_EQ(hosts_error(key_of(32) + " = 1\n"), "");
  EXPECT_NE(hosts_error(key_of(33) + " = 1\n"), "");
  EXPECT_EQ(hosts_error("a = \"" + deep + "\"\nb = '" + deep + "' # " + deep + "\n"), "");
  EXPECT_EQ(hosts_error("a = \"\"\"" + deep + "\n\"\"" + deep + "\"\"\"\n"), "");
  EXPECT_NE(hosts_error("a = " + std::string(500'000, '[')), "");
}

TEST(HostsToml, TextOfTheFileInAnErrorIsOneLine) {
  const std::string error = hosts_error("a = tr\nb = 1\n");
  EXPECT_NE(error.find("tr?"), std::string::npos) << error;
  RegistriesConf conf;
  EXPECT_EQ(merge_registries_conf("[aliases]\n\"a\\nb\" = 1\n", "/r.conf", conf).error().message(),
            "/r.conf:2: aliases: `a?b`: must be a string");
}

TEST(HostsToml, AHeaderHasNoLineBreakAndItsValueIsNeverShown) {
  const std::string host = "[host.\"https://m.test\".header]\n";
  const std::string broken = hosts_error(host + "x-key = \"secret\\r\\nHost: evil\"\n");
  EXPECT_NE(broken.find("header: `x-key`"), std::string::npos) << broken;
  EXPECT_EQ(broken.find("secret"), std::string::npos);
  EXPECT_NE(hosts_error(host + "\"a b\" = \"x\"\n"), "");
}

TEST(HostDirectories, AreTriedFromTheMostSpecificOn) {
  EXPECT_EQ(host_directories("/r", "h.test:5000"),
            (std::vector<std::string>{"/r/h.test_5000_", "/r/h.test:5000", "/r/_default"}));
  EXPECT_EQ(host_directories("/r", "h.test"),
            (std::vector<std::string>{"/r/h.test", "/r/_default"}));
  EXPECT_TRUE(host_directories("/r", "../x").empty());
  EXPECT_TRUE(host_directories("/r", "").empty());
}

TEST(Duration, IsReadAsGoWritesIt) {
  EXPECT_EQ(parse_duration_ms("300ms"), 300);
  EXPECT_EQ(parse_duration_ms("1.5s"), 1'500);
  EXPECT_EQ(parse_duration_ms("1h2m3s"), 3'723'000);
  EXPECT_EQ(parse_duration_ms("90000us"), 90);
  for (const char* text : {"", "5", "s", "-5s", "5 s", "1e3s", "99999h", "nan", "5sx"}) {
    EXPECT_FALSE(parse_duration_ms(text).has_value()) << text;
  }
}

TEST(EndpointAddress, HasSchemeHostAndPath) {
  Result<EndpointAddress> plain = parse_endpoint_address("m.test:5000/a/");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->scheme, "https");
  EXPECT_EQ(plain->host, "m.test:5000");
  EXPECT_EQ(plain->path, "/a");
  EXPECT_EQ(parse_endpoint_address("http://[::1]:5000")->host, "[::1]:5000");
  for (const char* text : {"", "https://", "a b", "http://h?x=1", "http://h#f", "u@h", "h\n"}) {
    EXPECT_FALSE(parse_endpoint_address(text).ok()) << text;
  }
}

RegistriesConf conf_of(const std::string& text) {
  RegistriesConf conf;
  Status merged = merge_registries_conf(text, "r.conf", conf);
  EXPECT_TRUE(merged.ok()) << (merged.ok() ? "" : merged.error().message());
  return conf;
}

TEST(RegistriesConf, TheLongestPrefixWins) {
  const RegistriesConf conf = conf_of(R"(
[[registry]]
prefix = "*.example.test"
[[registry]]
prefix = "a.example.test"
location = "other.test/x"
[[registry]]
prefix = "a.example.test/team"
location = "team.test"
[[registry]]
location = "plain.test:5000"
)");
  const auto prefix = [&](const char* name) {
    const auto* found = find_registry(conf, *oci::parse_reference(name));
    return found == nullptr ? std::string("none") : found->prefix;
  };
  EXPECT_EQ(prefix("a.example.test/app"), "a.example.test");
  EXPECT_EQ(prefix("a.example.test/team/app:1"), "a.example.test/team");
  EXPECT_EQ(prefix("a.example.test/teams/app:1"), "a.example.test");
  EXPECT_EQ(prefix("b.c.example.test/app"), "*.example.test");
  EXPECT_EQ(prefix("example.test/app"), "none");
  EXPECT_EQ(prefix("a.example.test:443/app"), "none");
  EXPECT_EQ(prefix("plain.test:5000/app"), "plain.test:5000");
  EXPECT_EQ(prefix("plain.test/app"), "none");
  const oci::Reference reference = *oci::parse_reference("a.example.test/team/app:1");
  EXPECT_EQ(relocated(reference, "a.example.test/team", "team.test"), "team.test/app");
  EXPECT_EQ(relocated(reference, "a.example.test", "other.test/x"), "other.test/x/team/app");
  EXPECT_EQ(relocated(reference, "*.example.test", ""), "a.example.test/team/app");
  EXPECT_EQ(relocated(reference, "a.example.test/team/app:1", "t.test:5000/z:9"), "t.test:5000/z");
}

TEST(RegistriesConf, ALaterFileReplacesTheSamePrefix) {
  RegistriesConf conf = conf_of(
      "[[registry]]\nlocation = \"a.test\"\ninsecure = true\n"
      "[aliases]\nx = \"a.test/x\"\ny = \"a.test/y\"\n");
  ASSERT_TRUE(merge_registries_conf("[[registry]]\nlocation = \"a.test\"\nblocked = true\n"
                                    "[aliases]\nx = \"\"\n",
                                    "b.conf", conf)
                  .ok());
  ASSERT_EQ(conf.registries.size(), 1u);
  EXPECT_TRUE(conf.registries[0].blocked);
  EXPECT_FALSE(conf.registries[0].insecure);
  EXPECT_EQ(conf.registries[0].file, "b.conf");
  EXPECT_EQ(conf.aliases.size(), 1u);
}

TEST(RegistriesConf, ErrorsNameTheKey) {
  const auto error = [](const std::string& text) {
    RegistriesConf conf;
    Status merged = merge_registries_conf(text, "r.conf", conf);
    return merged.ok() ? "" : merged.error().message();
  };
  EXPECT_EQ(error("[[registry]]\nlocation = \"https://x\"\n"),
            "r.conf:2: registry[0].location: must be host[:port][/path] without a scheme");
  EXPECT_NE(error("[[registry]]\ninsecure = true\n").find("neither `prefix` nor `location`"),
            std::string::npos);
  EXPECT_NE(error("[[registry]]\nlocation = \"x\"\n[[registry.mirror]]\ninsecure = true\n")
                .find("registry[0].mirror[0].location: is missing"),
            std::string::npos);
  EXPECT_NE(error("[registries.search]\nregistries = [\"x\"]\n").find("version 1"),
            std::string::npos);
  EXPECT_NE(error("short-name-mode = \"maybe\"\n").find("short-name-mode: must be enforcing"),
            std::string::npos);
  EXPECT_NE(error("[aliases]\nx = \"busybox\"\n").find("aliases: `x`"), std::string::npos);
  EXPECT_NE(error("[[registry]]\nlocation = \"x\"\nmirror-by-digest-only = true\n"
                  "[[registry.mirror]]\nlocation = \"y\"\npull-from-mirror = \"all\"\n")
                .find("cannot stand beside"),
            std::string::npos);
}

TEST(NameCandidates, ShortNamesWithoutConfigurationAreDockerHubs) {
  const RegistriesConf conf;
  EXPECT_EQ(name_candidates(conf, "busybox")->front().text(), "docker.io/library/busybox:latest");
  EXPECT_EQ(name_candidates(conf, "h.test/x")->front().text(), "h.test/x:latest");
  EXPECT_FALSE(name_candidates(conf, "Bad Name").ok());
}

TEST(NameCandidates, AnEmptySearchListRefusesShortNames) {
  const RegistriesConf conf = conf_of("unqualified-search-registries = []\n");
  Result<std::vector<oci::Reference>> refused = name_candidates(conf, "busybox");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_NE(refused.error().message().find("docker.io/library/busybox:latest"), std::string::npos);
  EXPECT_TRUE(name_candidates(conf, "localhost/x").ok());
}

TEST(GivenName, MustBeUnambiguous) {
  RegistriesConf conf = conf_of("unqualified-search-registries = [\"a.test\"]\n");
  EXPECT_EQ(given_name(conf, "app:1")->text(), "a.test/app:1");
  EXPECT_EQ(given_name(conf, "h.test/app")->text(), "h.test/app:latest");
  conf = conf_of("unqualified-search-registries = [\"a.test\", \"b.test\"]\n");
  ASSERT_TRUE(name_candidates(conf, "app:1").ok());
  const Result<oci::Reference> refused = given_name(conf, "app:1");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("a.test/app:1, b.test/app:1"), std::string::npos);
}

TEST(Proxy, IsChosenByTheUrlAndLeftOutForExceptions) {
  const ProxySettings settings{
      "http://p:1", "http://q:2",
      "inner.test, .dot.test,10.0.0.0/8,172.64.0.0/10,one.test:8080,[fd00::1],fd01::/16"};
  EXPECT_EQ(proxy_for(settings, "http://x.test/v2/"), "http://p:1");
  EXPECT_EQ(proxy_for(settings, "https://x.test/v2/"), "http://q:2");
  EXPECT_EQ(proxy_for(settings, "https://one.test/"), "http://q:2");
  EXPECT_EQ(proxy_for(settings, "https://dot.test/"), "http://q:2");
  EXPECT_EQ(proxy_for(settings, "https://notinner.test/"), "http://q:2");
  EXPECT_EQ(proxy_for(settings, "https://172.128.0.1/"), "http://q:2");
  EXPECT_EQ(proxy_for(settings, "https://172.63.0.1/"), "http://q:2");
  for (const char* url :
       {"http://127.0.0.1:5000/", "https://localhost/", "http://[::1]:80/", "http://inner.test/",
        "http://a.inner.test/", "http://b.dot.test/", "http://10.9.8.7:5000/",
        "https://172.64.0.1/", "https://172.127.255.1/", "https://one.test:8080/",
        "http://[fd00::1]/", "http://[fd01::7]:5000/", "not a url"}) {
    EXPECT_EQ(proxy_for(settings, url), "") << url;
  }
  EXPECT_EQ(proxy_for({"http://p", "", "*"}, "http://x.test/"), "");
}

}  // namespace
}  // namespace berth::image
