// SPDX-License-Identifier: Apache-2.0
// Promise: mirrors are asked in the order of the configuration, a dead mirror costs its time-out
// once, and a changed file is in force from the next pull on.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/core/image/registry/session_fixture.h"

namespace berth::image {
namespace {

class HostsRouteTest : public SessionTest {
 protected:
  // hosts.toml of registry.test: these hosts, then the registry of the fixture.
  void mirrors(const std::vector<std::string>& hosts, const std::string& more = "") {
    std::string text = "server = \"http://" + registry_.host() + "\"\n";
    for (const std::string& host : hosts) text += "[host.\"" + host + "\"]\n" + more;
    write_hosts("registry.test", text);
  }
  RegistrySession& at_test(AuthConfig auth = {}) {
    return open("registry.test/app:1", std::move(auth));
  }
};

TEST_F(HostsRouteTest, TheFirstMirrorThatHasItServes) {
  FakeRegistry empty;
  FakeRegistry full;
  const std::string digest = full.add_manifest("app", "1", kManifestType, "{}");
  mirrors({"http://" + empty.host(), "http://" + full.host()});
  EXPECT_EQ(manifest(at_test(), "1")->digest.text(), digest);
  EXPECT_EQ(empty.server().requests().size(), 1u);
  EXPECT_EQ(empty.server().requests()[0].path, "/v2/app/manifests/1?ns=registry.test");
  EXPECT_TRUE(registry_.server().requests().empty());
  // No endpoint has it: the error is that of the last, and names the others.
  Result<RemoteDocument> none = manifest(at_test(), "2");
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_NE(none.error().message().find(empty.host() + ": HTTP 404"), std::string::npos)
      << none.error().message();
  EXPECT_EQ(registry_.server().requests()[0].path, "/v2/app/manifests/2?ns=registry.test");
}

TEST_F(HostsRouteTest, CapabilitiesDecideWhichHostIsAsked) {
  FakeRegistry mirror;
  const std::string bytes = "a blob";
  const std::string digest = mirror.add_blob("app", bytes);
  registry_.add_manifest("app", "1", kManifestType, "{}");
  mirrors({"http://" + mirror.host()}, "capabilities = [\"pull\"]\n");
  RegistrySession& client = at_test();
  ASSERT_TRUE(manifest(client, "1").ok());
  EXPECT_TRUE(mirror.server().requests().empty());
  EXPECT_EQ(fetch(client, digest, bytes.size()), "");
  EXPECT_EQ(mirror.server().requests().size(), 1u);
}

// A listener with a full queue: connecting to it hangs, as to a host that drops packets, until
// come_back() empties the queue.
class DeadMirror {
 public:
  DeadMirror() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(::listen(listener_.get(), 0), 0);
    socklen_t size = sizeof name;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size);
    for (int i = 0; i < 4; ++i) {
      filling_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      static_cast<void>(
          ::connect(filling_.back().get(), reinterpret_cast<sockaddr*>(&name), sizeof name));
    }
    host_ = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  }
  const std::string& host() const { return host_; }
  void come_back() {
    filling_.clear();
    static_cast<void>(connections());
  }
  // Since the last call.
  int connections() {
    int count = 0;
    while (UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid()) ++count;
    return count;
  }

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> filling_;
  std::string host_;
};

TEST_F(HostsRouteTest, ADeadMirrorCostsItsTimeoutOnce) {
  const std::string bytes = "a blob";
  const std::string digest = registry_.add_blob("app", bytes);
  registry_.add_manifest("app", "1", kManifestType, "{}");
  DeadMirror mirror;
  mirrors({"http://" + mirror.host()});
  options_.mirror_connect_timeout_ms = 400;
  options_.rest_ms = 600'000;
  const Stopwatch watch;
  ASSERT_TRUE(manifest(at_test(), "1").ok());
  EXPECT_GE(watch.ms(), 390);
  EXPECT_NE(log_text().find("rests"), std::string::npos);
  // From here on the listener counts every connection, also of a later pull.
  mirror.come_back();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(fetch(at_test(), digest, bytes.size()), "");
  EXPECT_EQ(mirror.connections(), 0);
}

TEST_F(HostsRouteTest, AMirrorIsAskedAgainAfterItsRest) {
  FakeRegistry mirror;
  mirror.add_manifest("app", "1", kManifestType, "{\"from\":\"mirror\"}");
  registry_.add_manifest("app", "1", kManifestType, "{}");
  std::atomic<bool> broken{true};
  mirror.set_hook([&](const ServerRequest&) {
    return ServerResponse{.status = broken ? 503 : 0, .headers = {}, .body = ""};
  });
  mirrors({"http://" + mirror.host()});
  options_.rest_ms = 600'000;
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{}");
  broken = false;
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{}");
  EXPECT_EQ(mirror.server().requests().size(), 1u);
  broken = true;
  options_.rest_ms = 20;
  make_client();
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{}");
  broken = false;
  const Stopwatch watch;
  while (manifest(at_test(), "1")->bytes != "{\"from\":\"mirror\"}") {
    ASSERT_LT(watch.ms(), 60'000) << "the mirror is not asked again";
  }
}

TEST_F(HostsRouteTest, ABlobIsContinuedFromTheNextHost) {
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 >> 9);
  FakeRegistry mirror;
  const std::string digest = mirror.add_blob("app", bytes);
  registry_.add_blob("app", bytes);
  std::atomic<int> asked{0};
  mirror.set_hook([&](const ServerRequest&) {
    ServerResponse response{.status = 500, .headers = {}, .body = ""};
    if (asked++ == 0)
      response = {.status = 200, .headers = {}, .body = bytes, .cut_after = 100'000};
    return response;
  });
  mirrors({"http://" + mirror.host()});
  EXPECT_EQ(fetch(at_test(), digest, bytes.size()), "");
  EXPECT_TRUE(sink_->bytes == bytes);
  EXPECT_EQ(registry_.server().requests()[0].header("range"), "bytes=100000-");
}

TEST_F(HostsRouteTest, AHostThatSentWrongBytesIsNotAskedForThemAgain) {
  const std::string bytes = "right";
  const std::string digest = registry_.add_blob("app", bytes);
  FakeRegistry liar;
  liar.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "wrong"};
  });
  mirrors({"http://" + liar.host()});
  RegistrySession& client = at_test();
  EXPECT_EQ(fetch(client, digest, bytes.size()), "");
  EXPECT_EQ(sink_->bytes, "wrong");
  client.reject(*oci::Digest::parse(digest));
  EXPECT_EQ(fetch(client, digest, bytes.size()), "");
  EXPECT_EQ(sink_->bytes, "right");
}

TEST_F(HostsRouteTest, AMirrorGetsCredentialsOnlyIfItAsksAndTheyMayBeItsOwn) {
  FakeRegistry mirror;
  mirror.add_manifest("app", "1", kManifestType, "{}");
  mirror.set_hook([](const ServerRequest& request) {
    const bool known = request.header("authorization") == "Basic " + base64_encode("me:pw");
    return ServerResponse{
        .status = known ? 0 : 401, .headers = {"WWW-Authenticate: Basic"}, .body = ""};
  });
  mirrors({"http://" + mirror.host()});
  EXPECT_TRUE(manifest(at_test(pair("me", "pw")), "1").ok());
  AuthConfig bound = pair("me", "pw");
  bound.server_address = "registry.test";
  mirror.server().forget();
  EXPECT_FALSE(manifest(at_test(bound), "1").ok());
  for (const ServerRequest& request : mirror.server().requests()) {
    EXPECT_EQ(request.header("authorization"), "");
  }
  AuthConfig token;
  token.registry_token = "for the registry alone";
  mirror.server().forget();
  EXPECT_FALSE(manifest(at_test(token), "1").ok());
  EXPECT_EQ(mirror.server().requests()[0].header("authorization"), "");
}

TEST_F(HostsRouteTest, PathsAndHeadersOfAHostAreItsOwn) {
  FakeServer odd([](const ServerRequest& request) {
    const bool known = request.path == "/cache/app/manifests/1?ns=registry.test" &&
                       request.header("x-team") == "blue";
    return ServerResponse{.status = known ? 200 : 404, .headers = {}, .body = "{}"};
  });
  write_hosts("registry.test", "server = \"http://" + registry_.host() + "\"\n[host.\"http://" +
                                   odd.host() + "/cache\"]\noverride_path = true\n[host.\"http://" +
                                   odd.host() + "/cache\".header]\nx-team = [\"blue\"]\n");
  EXPECT_TRUE(manifest(at_test(), "1").ok());
  EXPECT_EQ(manifest(at_test(), "2").error().code, Errc::not_found);
  EXPECT_EQ(registry_.server().requests()[0].header("x-team"), "");
}

TEST_F(HostsRouteTest, AChangedFileCountsFromTheNextPullOn) {
  FakeRegistry other;
  other.add_manifest("app", "1", kManifestType, "{\"other\":1}");
  registry_.add_manifest("app", "1", kManifestType, "{}");
  mirrors({});
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{}");
  mirrors({"http://" + other.host()});
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{\"other\":1}");
  // An editing mistake: the earlier configuration stays in force, and the log names the place.
  write_hosts("registry.test", "[host.\"http://x\"]\nskip_verify = \"yes\"\n");
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{\"other\":1}");
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{\"other\":1}");
  const std::string log = log_text();
  const std::size_t first = log.find("hosts.toml:2: host.\"http://x\".skip_verify: must be");
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("skip_verify", first + 80), std::string::npos) << "logged once";
  mirrors({});
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{}");
}

TEST_F(HostsRouteTest, AFileThatWasNeverGoodFailsThePullAndNamesItself) {
  write_hosts("registry.test", "server = \n");
  Result<std::unique_ptr<RegistrySession>> broken = try_open("registry.test/app");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, Errc::failed_precondition);
  EXPECT_NE(broken.error().message().find("certs.d/registry.test/hosts.toml:1"), std::string::npos)
      << broken.error().message();
  write_hosts("registry.test", "ca = \"missing.pem\"\n");
  broken = try_open("registry.test/app");
  EXPECT_NE(broken.error().message().find("registry.test/missing.pem"), std::string::npos)
      << broken.error().message();
  // Other registries are not affected.
  EXPECT_TRUE(try_open("other.test/app").ok());
}

TEST_F(HostsRouteTest, RegistriesConfLeadsToMirrorsAndLocations) {
  FakeRegistry mirror;
  FakeRegistry internal;
  const std::string digest = mirror.add_manifest("cache/app", "1", kManifestType, "{\"m\":1}");
  internal.add_manifest("in/app", "1", kManifestType, "{\"i\":1}");
  options_.registries_conf = write_file(
      "registries.conf", "[[registry]]\nprefix = \"registry.test\"\nlocation = \"" +
                             internal.host() + "/in\"\nmirror-by-digest-only = true\n" +
                             "[[registry.mirror]]\nlocation = \"" + mirror.host() + "/cache\"\n" +
                             "[[registry]]\nprefix = \"bad.test\"\nblocked = true\n");
  EXPECT_EQ(manifest(at_test(), "1")->bytes, "{\"i\":1}");
  EXPECT_TRUE(mirror.server().requests().empty());
  EXPECT_EQ(manifest(open("registry.test/app@" + digest), digest)->bytes, "{\"m\":1}");
  Result<std::unique_ptr<RegistrySession>> blocked = try_open("bad.test/app");
  ASSERT_FALSE(blocked.ok());
  EXPECT_EQ(blocked.error().code, Errc::permission_denied);
  EXPECT_NE(blocked.error().message().find("registries.conf"), std::string::npos);
}

TEST_F(HostsRouteTest, AnInsecureLocationIsAskedByPlainHttpWhenItHasNoTls) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  options_.registries_conf =
      write_file("registries.conf",
                 "[[registry]]\nlocation = \"" + registry_.host() + "\"\ninsecure = true\n");
  RegistrySession& client = session();
  ASSERT_TRUE(manifest(client, "1").ok());
  const std::size_t connections = registry_.server().connections();
  // TLS is not tried again for every request.
  ASSERT_TRUE(manifest(client, "1").ok());
  EXPECT_EQ(registry_.server().connections(), connections + 1);
}

TEST_F(HostsRouteTest, ShortNamesAreResolvedByTheConfiguration) {
  make_client();
  EXPECT_EQ(ring_->run_until(client_->candidates("busybox"))->front().text(),
            "docker.io/library/busybox:latest");
  options_.registries_conf =
      write_file("registries.conf",
                 "unqualified-search-registries = [\"a.test\", \"b.test:5000\"]\n"
                 "[aliases]\ntool = \"c.test/team/tool\"\n");
  make_client();
  Result<std::vector<oci::Reference>> all = ring_->run_until(client_->candidates("busybox:1"));
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[1].text(), "b.test:5000/busybox:1");
  EXPECT_EQ(ring_->run_until(client_->candidates("tool:2"))->front().text(), "c.test/team/tool:2");
  // A drop-in file overrides it, without a restart.
  write_file("registries.conf.d/50-mode.conf", "short-name-mode = \"enforcing\"\n");
  Result<std::vector<oci::Reference>> refused = ring_->run_until(client_->candidates("busybox"));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("a.test/busybox:latest, b.test:5000/busybox:latest"),
            std::string::npos);
}

TEST_F(HostsRouteTest, ALookupResolvesNamesAsAPullDoes) {
  const std::string conf =
      write_file("registries.conf", "unqualified-search-registries = [\"a.test\", \"b.test\"]\n");
  options_.registries_conf = conf;
  make_client();
  for (const char* text : {"app:1", "team/app", "c.test/app", "Bad Name"}) {
    Result<std::vector<oci::Reference>> pulled = ring_->run_until(client_->candidates(text));
    const ImageName name = *ring_->run_until(client_->image_name(text));
    EXPECT_EQ(name.refusal.has_value(), !pulled.ok()) << text;
    if (!pulled.ok()) continue;
    ASSERT_EQ(name.references.size(), pulled->size()) << text;
    for (std::size_t i = 0; i < pulled->size(); ++i) {
      EXPECT_EQ(name.references[i].text(), (*pulled)[i].text());
    }
  }
  EXPECT_FALSE(ring_->run_until(client_->given_name("app:1")).ok());
  // Without a restart.
  write_file("registries.conf", "unqualified-search-registries = [\"a.test\"]\n");
  EXPECT_EQ(ring_->run_until(client_->given_name("app:1"))->text(), "a.test/app:1");
}

TEST_F(HostsRouteTest, IdsAndWholeNamesAreResolvedWithoutTheConfiguration) {
  options_.registries_conf = write_file("registries.conf", "broken");
  make_client();
  const std::string id = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(ring_->run_until(client_->image_name(id))->id_prefix, id);
  EXPECT_EQ(ring_->run_until(client_->image_name("h.test/app"))->references.size(), 1u);
  const ImageName prefix = *ring_->run_until(client_->image_name("abcdef"));
  EXPECT_EQ(prefix.id_prefix, "sha256:abcdef");
  EXPECT_TRUE(prefix.references.empty());
  EXPECT_EQ(prefix.refusal->code, Errc::failed_precondition);
}

}  // namespace
}  // namespace berth::image
