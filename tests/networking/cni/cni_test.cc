// SPDX-License-Identifier: Apache-2.0
// CniNetwork with Debian's plugins and with scripts that misbehave. The process has network and
// mount namespaces of its own.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "networking/cni/cni.h"
#include "tests/support/temporary_dir.h"

namespace berth::networking {
namespace {

using plugins::NetworkAttachment;
using plugins::NetworkPod;
using plugins::NetworkRequest;

constexpr char kPlugins[] = "/usr/lib/cni";

Task<void> become_ready(CniNetwork& network) {
  while (!network.status().ready) co_await network.status_changed(network.status().generation);
}

Task<void> sleep_ms(Ring& ring, int ms) {
  co_await ring.sleep_until(Deadline::after_ms(ms));
}

NetworkRequest request_of(std::string id) {
  NetworkRequest request;
  request.pod_id = std::move(id);
  request.pod_name = "name";
  return request;
}

Task<void> attach_one(CniNetwork& network, NetworkRequest request) {
  NetworkAttachment attached = co_await network.attach(std::move(request));
  static_cast<void>(attached);
}

Task<void> detach_one(CniNetwork& network, NetworkRequest request) {
  NetworkPod pod;
  pod.request = std::move(request);
  co_await network.detach(std::move(pod));
}

Task<void> closed(Scope& scope) {
  co_await scope.close();
}

class CniTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ::signal(SIGPIPE, SIG_IGN);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_TRUE(sys::bring_loopback_up().ok());
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "making network namespaces needs root";
    ring_ = MUST(Ring::create());
    pool_ = std::make_unique<NamespacePool>(*ring_, NamespacePool::kPod, 0);
    for (const char* name : {"conf", "bin", "state"}) ::mkdir((dir_ / name).c_str(), 0755);
  }
  void TearDown() override {
    if (network_ != nullptr) MUST(run(network_->close()));
    if (pool_ != nullptr) MUST(run(pool_->close()));
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return ring_->run_until(std::move(task));
  }
  void write(const std::string& name, const std::string& text, mode_t mode = 0644) {
    std::ofstream(dir_ / name) << text;
    ::chmod((dir_ / name).c_str(), mode);
  }
  std::string read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(dir_ / name).rdbuf();
    return text.str();
  }
  // A plugin that notes its command in the file `calls` and then does `body`.
  void script(const std::string& name, const std::string& body) {
    write("bin/" + name,
          "#!/bin/sh\necho " + name + " $CNI_COMMAND >> " + (dir_ / "calls") + "\n" + body + "\n",
          0755);
  }
  CniNetwork& network() {
    if (network_ == nullptr) {
      CniOptions options;
      options.conf_dir = dir_ / conf_dir_;
      options.chains_max = 2;
      options.state_dir = dir_ / "state";
      options.chain.bin_dirs = {dir_ / "bin", kPlugins};
      options.chain.plugin_ms_max = 3'000;
      options.del_ms_max = 1'000;
      options.retry_ms_min = 100;
      network_ = std::make_unique<CniNetwork>(
          CniParts{*ring_, log_, options, [this] { return pool_->take(); }});
      MUST(run(network_->recover({})));
    }
    return *network_;
  }
  void chain(const std::string& plugins) {
    write("conf/10-test.conflist",
          R"({"name":"test","cniVersion":"1.0.0","plugins":[)" + plugins + "]}");
  }
  Result<NetworkAttachment> attach(const std::string& id) {
    return run(network().attach(request_of(id)));
  }
  Result<void> detach(const std::string& id) { return run(detach_one(network(), request_of(id))); }

  TemporaryDir dir_;
  std::string conf_dir_ = "conf";
  Log log_{LogLevel::error};
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<NamespacePool> pool_;
  std::unique_ptr<CniNetwork> network_;
};

// True if a TCP connection from the namespace `from` (-1: the test's own) reaches `address`
// in `to`.
bool connects(int from, int to, const std::string& address) {
  bool reached = false;
  std::thread([&] {
    if (to >= 0 && ::setns(to, CLONE_NEWNET) != 0) return;
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = ::htons(4711);
    ::inet_pton(AF_INET, address.c_str(), &target.sin_addr);
    auto* const any = reinterpret_cast<sockaddr*>(&target);
    if (::bind(listener.get(), any, sizeof target) != 0) return;
    if (::listen(listener.get(), 1) != 0) return;
    std::thread([&] {
      if (from >= 0 && ::setns(from, CLONE_NEWNET) != 0) return;
      const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const timeval limit{.tv_sec = 3, .tv_usec = 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      reached = ::connect(client.get(), any, sizeof target) == 0;
    }).join();
  }).join();
  return reached;
}

TEST_F(CniTest, BridgedPodsReachEachOtherAndAreCountedAndDetached) {
  if (::access((std::string(kPlugins) + "/bridge").c_str(), X_OK) != 0) {
    GTEST_SKIP() << "the package containernetworking-plugins is not installed";
  }
  chain(R"({"type":"bridge","bridge":"cni0","isGateway":true,)"
        R"("ipam":{"type":"host-local","dataDir":")" +
        (dir_ / "ipam") + R"(","ranges":[[{"subnet":"10.99.0.0/24"}]]}},{"type":"tuning"})");
  const auto first = attach("p1");
  ASSERT_TRUE(first.ok()) << first.error().message();
  const auto second = attach("p2");
  ASSERT_TRUE(second.ok()) << second.error().message();
  ASSERT_EQ(first->result.ips.size(), 1u);
  EXPECT_NE(first->result.ips[0], second->result.ips[0]);
  EXPECT_EQ(first->result.interfaces[0].name, "eth0");
  EXPECT_LE(first->result.saved.size(), 16u << 10);
  std::vector<std::string> steps;
  for (const auto& [name, end_us] : first->steps) steps.push_back(name);
  EXPECT_EQ(steps,
            (std::vector<std::string>{"namespaces.made_inline", "cni.bridge", "cni.tuning"}));
  EXPECT_TRUE(connects(first->netns.get(), second->netns.get(), second->result.ips[0]));
  EXPECT_TRUE(connects(-1, first->netns.get(), first->result.ips[0]));
  const auto counters = MUST(run(network().counters("p1")));
  ASSERT_TRUE(counters.has_value());
  EXPECT_GT(counters->tx_bytes, 0u);
  EXPECT_EQ(MUST(attach("p1")).result.ips, first->result.ips);
  // The configuration of the attachment counts, not the file.
  ::unlink((dir_ / "conf/10-test.conflist").c_str());
  const std::string lease = "ipam/test/" + first->result.ips[0];
  EXPECT_EQ(::access((dir_ / lease).c_str(), F_OK), 0);
  EXPECT_TRUE(detach("p1").ok());
  EXPECT_NE(::access((dir_ / lease).c_str(), F_OK), 0);
  EXPECT_TRUE(detach("p2").ok());
  EXPECT_TRUE(detach("p2").ok());
}

TEST_F(CniTest, ConfigurationThatAppearsLaterMakesItReady) {
  script("ok", R"(echo '{"cniVersion":"1.0.0"}')");
  ::rmdir((dir_ / "conf").c_str());
  EXPECT_FALSE(network().status().ready);
  EXPECT_FALSE(network().status().configured);
  EXPECT_EQ(network().status().reason, "NetworkPluginNotReady");
  EXPECT_NE(network().status().message.find(dir_ / "conf"), std::string::npos);
  ::mkdir((dir_ / "conf").c_str(), 0755);
  chain(R"({"type":"ok"})");
  const auto ready = run(with_deadline(*ring_, Deadline::after_ms(5'000), become_ready(network())));
  EXPECT_TRUE(ready.ok());
  EXPECT_TRUE(network().status().configured);
}

TEST_F(CniTest, DirectoryWhoseParentsAreMissingIsFoundWhenItIsMade) {
  script("ok", R"(echo '{"cniVersion":"1.0.0"}')");
  conf_dir_ = "etc/cni/net.d";
  EXPECT_FALSE(network().status().ready);
  // One by one, as an installer's `mkdir -p` makes them while the agent looks.
  for (const char* name : {"etc", "etc/cni", "etc/cni/net.d"}) {
    ASSERT_EQ(::mkdir((dir_ / name).c_str(), 0755), 0);
    MUST(run(sleep_ms(*ring_, 5)));
  }
  write("etc/cni/net.d/1.conf", R"({"name":"n","cniVersion":"1.0.0","type":"ok"})");
  EXPECT_TRUE(run(with_deadline(*ring_, Deadline::after_ms(5'000), become_ready(network()))).ok());
}

TEST_F(CniTest, NodeWithoutAConfigurationCausesNoWakeUps) {
  conf_dir_ = "etc/cni/net.d";
  EXPECT_FALSE(network().status().ready);
  MUST(run(sleep_ms(*ring_, 50)));
  const std::uint64_t before = ring_->counters().wakeups;
  MUST(run(sleep_ms(*ring_, 2'500)));
  EXPECT_LE(ring_->counters().wakeups - before, 2u) << "the sleep's own";
}

TEST_F(CniTest, NoMoreChainsRunAtOnceThanAllowed) {
  ASSERT_EQ(::mkdir((dir_ / "running").c_str(), 0755), 0);
  script("slow", "touch " + (dir_ / "running/$CNI_CONTAINERID") + "; ls " + (dir_ / "running") +
                     " | wc -l >> " + (dir_ / "counts") + "; sleep 0.05; rm " +
                     (dir_ / "running/$CNI_CONTAINERID") + R"(; echo '{"cniVersion":"1.0.0"}')");
  chain(R"({"type":"slow"})");
  network();
  const auto ignore = [](Error error) { ADD_FAILURE() << error.message(); };
  const std::vector<std::string> ids{"p1", "p2", "p3", "p4", "p5", "p6"};
  Scope attaching(ring_->ready(), ignore);
  for (const std::string& id : ids) attaching.spawn(attach_one(network(), request_of(id)));
  MUST(run(closed(attaching)));
  Scope detaching(ring_->ready(), ignore);
  for (const std::string& id : ids) detaching.spawn(detach_one(network(), request_of(id)));
  MUST(run(closed(detaching)));
  std::istringstream counts(read("counts"));
  std::vector<int> all{std::istream_iterator<int>(counts), {}};
  EXPECT_EQ(all.size(), 12u);
  EXPECT_EQ(*std::max_element(all.begin(), all.end()), 2);
}

TEST_F(CniTest, InvalidFileIsSkippedAndNamedIfNothingValidRemains) {
  script("ok", "");
  write("conf/00-bad.conf", "{");
  EXPECT_NE(network().status().message.find("00-bad.conf"), std::string::npos);
  chain(R"({"type":"ok"})");
  EXPECT_TRUE(run(with_deadline(*ring_, Deadline::after_ms(5'000), become_ready(network()))).ok());
}

TEST_F(CniTest, MissingProgramMakesItNotReadyByName) {
  chain(R"({"type":"absent-plugin"})");
  EXPECT_FALSE(network().status().ready);
  EXPECT_NE(network().status().message.find("absent-plugin"), std::string::npos);
  EXPECT_FALSE(attach("p").ok());
}

TEST_F(CniTest, FailedAddDeletesTheWholeChainInReverse) {
  script("one", R"(echo '{"cniVersion":"1.0.0"}')");
  script("two", R"([ $CNI_COMMAND = ADD ] || exit 0; echo why >&2; )"
                R"(echo '{"code":11,"msg":"no","details":"d"}'; exit 1)");
  chain(R"({"type":"one"},{"type":"two"})");
  const auto failed = attach("p");
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(failed.error().is(Errc::unavailable));
  for (const char* part : {"two", "code 11", "no", "(d)", "stderr: why"}) {
    EXPECT_NE(failed.error().message().find(part), std::string::npos) << part;
  }
  EXPECT_EQ(read("calls"), "one ADD\ntwo ADD\ntwo DEL\none DEL\n");
}

TEST_F(CniTest, MisbehavingPluginsFailWithAReason) {
  struct Case {
    const char* body;
    const char* reason;
  };
  const Case cases[] = {
      {"sleep 60", "killed"},
      {"kill -9 $$", "signal 9"},
      {"echo garbage", "not valid JSON"},
      {"cat /dev/zero", "1 MiB"},
      {R"(echo '{"cniVersion":"9.9.9"}')", "9.9.9"},
  };
  chain(R"({"type":"bad"})");
  for (const Case& one : cases) {
    script("bad", std::string("[ $CNI_COMMAND = ADD ] || exit 0\n") + one.body);
    const auto failed = attach("p");
    ASSERT_FALSE(failed.ok()) << one.body;
    EXPECT_NE(failed.error().message().find(one.reason), std::string::npos)
        << failed.error().message();
  }
}

TEST_F(CniTest, PluginHasTheSpecifiedEnvironmentAndNoDescriptorOfTheAgent) {
  script("look", "ls /proc/self/fd | wc -w > " + (dir_ / "fds") + "; env > " + (dir_ / "env") +
                     R"(; echo '{"cniVersion":"1.0.0"}')");
  chain(R"({"type":"look"})");
  ASSERT_TRUE(attach("p").ok());
  EXPECT_EQ(read("fds"), "4\n");  // the streams and the directory that ls reads
  const std::string env = read("env");
  EXPECT_NE(env.find("CNI_CONTAINERID=p\n"), std::string::npos);
  EXPECT_NE(env.find("CNI_IFNAME=eth0\n"), std::string::npos);
  EXPECT_NE(env.find("K8S_POD_NAME=name;"), std::string::npos);
  EXPECT_EQ(env.find("HOME="), std::string::npos);
}

TEST_F(CniTest, CapabilityThatNoPluginHasIsLoggedByName) {
  script("ok", R"(echo '{"cniVersion":"1.0.0"}')");
  chain(R"({"type":"ok"})");
  const UniqueFd log(::open((dir_ / "log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  log_ = Log(LogLevel::warn, log.get());
  NetworkRequest request = request_of("p");
  request.port_mappings.push_back({.container_port = 80, .host_port = 8080, .host_ip = ""});
  request.annotations["kubernetes.io/egress-bandwidth"] = "10M";
  ASSERT_TRUE(run(network().attach(request)).ok());
  EXPECT_NE(read("log").find("no plugin of 10-test.conflist has the capability portMappings "
                             "bandwidth"),
            std::string::npos)
      << read("log");
}

TEST_F(CniTest, HangingDelIsRetriedAfterDetachReturnsInItsBudget) {
  const std::string hang = "[ $CNI_COMMAND = DEL ] && [ -e " + (dir_ / "hang") + " ] && sleep 60";
  script("slow", hang + R"(; echo '{"cniVersion":"1.0.0"}')");
  write("hang", "");
  chain(R"({"type":"slow"})");
  ASSERT_TRUE(attach("p").ok());
  const std::int64_t began_ns = monotonic_now_ns();
  EXPECT_TRUE(detach("p").ok());
  EXPECT_LT(monotonic_now_ns() - began_ns, 2'500 * kNanosecondsPerMillisecond);
  const std::string record = dir_ / "state/cni/leftovers/p.json";
  EXPECT_EQ(::access(record.c_str(), F_OK), 0);
  ::unlink((dir_ / "hang").c_str());
  for (int i = 0; i < 50 && ::access(record.c_str(), F_OK) == 0; ++i) {
    MUST(run(sleep_ms(*ring_, 100)));
  }
  EXPECT_NE(::access(record.c_str(), F_OK), 0);
}

TEST_F(CniTest, FailingStatusIsTheMessageInThePluginsWords) {
  script(
      "sick",
      R"(case $CNI_COMMAND in VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}';;
STATUS) echo '{"code":50,"msg":"the controller is away"}'; exit 1;; esac)");
  write("conf/1.conflist", R"({"name":"n","cniVersion":"1.1.0","plugins":[{"type":"sick"}]})");
  EXPECT_FALSE(network().status().ready);
  EXPECT_NE(network().status().message.find("the controller is away"), std::string::npos);
}

}  // namespace
}  // namespace berth::networking
