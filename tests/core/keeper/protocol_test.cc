// SPDX-License-Identifier: Apache-2.0
// A hostile or broken peer cannot harm the keeper. Also the keeper's start-up errors.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "core/keeper/program.h"
#include "core/linux/memfd.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

namespace fs = std::filesystem;

// Sends messages to the keeper without a client.
class ProtocolTest : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    keeper_ = client_->pid();
    drop_client();
  }
  void TearDown() override {
    socket_.reset();
    if (!client_) connect();
    EXPECT_EQ(client_->pid(), keeper_) << "the keeper must have survived the test";
    EXPECT_EQ(client_->starts(), 0u);
    KeeperTest::TearDown();
  }
  void dial() {
    socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/keeper.sock", dir_.c_str());
    ASSERT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval limit{10, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  // 0: accepted; else the errno of the refusal; -1: the keeper closed the connection.
  int ask(const Header& header, std::span<const std::byte> body, std::span<const int> fds = {}) {
    if (!send(socket_.get(), header, body, fds).ok()) return -1;
    const Deadline limit = soon();
    Incoming answer;
    for (;;) {
      Result<bool> got = answer.receive(socket_.get());
      if (got.ok()) return *got ? answer.header().sys_errno : -1;
      if (got.error().sys_errno != EAGAIN || limit.passed()) return -1;
      ::usleep(500);
    }
  }
  template <Body T>
  int ask(MessageType type, const T& body, std::span<const int> fds = {}) {
    return ask(Header{.type = type, .request = 7}, std::as_bytes(std::span(&body, 1)), fds);
  }
  void greet() { ASSERT_EQ(ask(Header{.type = MessageType::hello, .request = 1}, {}), 0); }

  UniqueFd socket_;
  pid_t keeper_ = 0;
};

ProcessRecord record(std::string_view id, std::uint32_t fds) {
  ProcessRecord result;
  result.id.assign(id);
  result.fds = fds;
  return result;
}

TEST_F(ProtocolTest, AnotherVersionOrAnotherMagicEndsTheConnection) {
  dial();
  EXPECT_EQ(ask(Header{.version = 9, .type = MessageType::hello, .request = 1}, {}), EPROTO);
  dial();
  EXPECT_EQ(ask(Header{.magic = 1, .type = MessageType::hello, .request = 1}, {}), -1);
  dial();
  EXPECT_EQ(ask(Header{.type = MessageType::list, .request = 1}, {}), EPROTO)
      << "hello must come first";
}

TEST_F(ProtocolTest, OversizedAndTruncatedMessagesEndTheConnection) {
  dial();
  greet();
  const std::vector<char> big(100'000, 'x');
  ASSERT_GT(::send(socket_.get(), big.data(), big.size(), 0), 0);
  char byte = 0;
  EXPECT_EQ(::recv(socket_.get(), &byte, 1, 0), 0);
  dial();
  ASSERT_EQ(::send(socket_.get(), "short", 5, 0), 5);
  EXPECT_EQ(::recv(socket_.get(), &byte, 1, 0), 0);
}

TEST_F(ProtocolTest, MalformedRequestsAreRefused) {
  dial();
  greet();
  NameBody empty;
  NameBody endless;
  endless.name.length = 255;
  for (const MessageType type : {MessageType::forget, MessageType::hold, MessageType::drop,
                                 MessageType::reopen_log, MessageType::close_stdin}) {
    EXPECT_EQ(ask(type, empty), EINVAL);
    EXPECT_EQ(ask(type, endless), EINVAL);
    EXPECT_EQ(ask(type, std::uint32_t{1}), EINVAL);
  }
  NameBody unknown;
  unknown.name.assign("unknown");
  EXPECT_EQ(ask(MessageType::reopen_log, unknown), ENOENT);
  EXPECT_EQ(ask(MessageType::hold, unknown), EINVAL) << "without descriptors";
  EXPECT_EQ(ask(static_cast<MessageType>(77), unknown), EINVAL);
  EXPECT_EQ(ask(MessageType::adopt_process, record("x", 0)), EBUSY) << "not a fresh keeper";
  EXPECT_EQ(ask(MessageType::reexec, unknown), EINVAL);
}

TEST_F(ProtocolTest, HostilePlansAreRefusedAndLeaveNothing) {
  dial();
  greet();
  const int before = count_fds(keeper_);
  EXPECT_EQ(ask(MessageType::launch, record("c1", 0)), EINVAL) << "no plan";
  EXPECT_EQ(ask(MessageType::launch, record("c1", kFdPlan)), EINVAL) << "announced but not sent";
  EXPECT_EQ(ask(MessageType::launch, record("c1", ~0u)), EINVAL);
  std::mt19937 random(5);
  const auto try_plan = [&](std::span<const std::byte> bytes, bool sealed) {
    UniqueFd memfd =
        sealed ? sys::sealed_memfd("plan", bytes).value() : sys::memfd_create("plan").value();
    const int fd = memfd.get();
    return ask(MessageType::launch, record("c1", kFdPlan), std::span(&fd, 1));
  };
  EXPECT_EQ(try_plan({}, true), EMSGSIZE);
  EXPECT_EQ(try_plan({}, false), EINVAL) << "not sealed";
  container::LaunchContainer spec = container::testing::base_spec({"true"});
  spec.namespaces.network.mode = container::PlanNamespaceMode::host;
  container::EncodedPlan good = container::encode_container(spec, {.rootfs = 0}).value();
  std::vector<std::byte> bytes(good.size);
  ASSERT_EQ(::pread(good.memfd.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(try_plan(bytes, true), EBADMSG) << "a descriptor is missing";
  EXPECT_EQ(try_plan(std::span(bytes).first(bytes.size() / 2), true), EBADMSG);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> mutant = bytes;
    for (int flip = 0; flip < 4; ++flip) {
      mutant[random() % mutant.size()] = static_cast<std::byte>(random());
    }
    EXPECT_GT(try_plan(mutant, true), 0);
  }
  EXPECT_TRUE(eventually([&] { return count_fds(keeper_) == before; }));
}

// The client refuses it by itself; an agent that does not know the first process would send it.
TEST_F(ProtocolTest, SecondLaunchOfALivingNameIsRefused) {
  connect();
  const Started first = shell("c1", "sleep 100");
  drop_client();
  dial();
  greet();
  const UniqueFd plan = sys::sealed_memfd("plan", std::as_bytes(std::span("no plan", 7))).value();
  const int fd = plan.get();
  EXPECT_EQ(ask(MessageType::launch, record("c1", kFdPlan), std::span(&fd, 1)), EEXIST);
  EXPECT_EQ(::kill(first.pid, 0), 0);
}

TEST_F(ProtocolTest, AgentThatDoesNotReadBlocksNoProcessAndLosesNoExit) {
  connect();
  for (int i = 0; i < 5; ++i) shell("c" + std::to_string(i), "sleep 0.3; exit 3");
  drop_client();
  dial();
  greet();
  // Sends many requests and reads no answer.
  const Header header{.type = MessageType::list, .request = 2};
  for (int i = 0; i < 5000; ++i) {
    if (!send(socket_.get(), header, {}, {}).ok()) break;
  }
  ::usleep(600'000);
  socket_.reset();
  connect();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_exit("c" + std::to_string(i)).exit_code, 3);
}

TEST_F(ProtocolTest, RandomMessagesDoNotHurt) {
  std::mt19937 random(17);
  for (int i = 0; i < 2000; ++i) {
    if (i % 20 == 0) {
      dial();
      greet();
    }
    std::byte body[600];
    for (std::byte& byte : body) byte = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    const size_t sizes[] = {0, sizeof(NameBody), sizeof(ProcessRecord), sizeof(ExitRecord), 33};
    auto type = static_cast<MessageType>(1 + random() % 16);
    if (type == MessageType::shutdown) continue;
    const Header header{.type = type, .request = random()};
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    UniqueFd owned(fd);
    const size_t fds = type == MessageType::reexec ? 0 : random() % 2;
    static_cast<void>(
        send(socket_.get(), header, std::span(body, sizes[random() % 5]), std::span(&fd, fds)));
  }
  dial();
  greet();
  // TearDown connects a client, which drops the descriptors that are held under random names.
}

// The kernel's behaviour on which the client's reader relies, and the result of that reader.
TEST(KeeperStart, MessagesOfAPeerAreReadAfterTheResetOfItsClose) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const Header header{.type = MessageType::hello, .sys_errno = ENOENT};
  ASSERT_TRUE(send(theirs.get(), header, Refusal{}).ok());
  ASSERT_TRUE(send(ours.get(), header, Refusal{}).ok());
  theirs.reset();
  Incoming incoming;
  Result<bool> first = incoming.receive(ours.get());
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().sys_errno, ECONNRESET);
  Result<bool> second = incoming.receive(ours.get());
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(*second);
  EXPECT_EQ(incoming.header().sys_errno, ENOENT);
  Result<bool> third = incoming.receive(ours.get());
  EXPECT_TRUE(third.ok() && !*third);
}

TEST(KeeperStart, SecondKeeperOfAStateDirectoryIsRefusedByName) {
  const std::string dir = container::testing::place("twice");
  fs::create_directories(dir);
  std::unique_ptr<Ring> ring = Ring::create().value();
  Log log(LogLevel::error);
  const KeeperOptions options{.binary = BERTH_KEEPER, .state_dir = dir};
  auto client = std::move(ring->run_until(KeeperClient::connect_or_start(
                              *ring, log, options, Deadline::after_ms(kLongMs))))
                    .value();
  const UniqueFd tree = open_program(BERTH_KEEPER).value();
  const UniqueFd program(::dup(tree.get()));  // not close-on-exec
  const std::string command = std::string(BERTH_KEEPER) + " --state-dir " + dir + " --program " +
                              std::to_string(program.get()) + " 2>" + dir + "/stderr";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const std::string text = read_file(dir + "/stderr");
  EXPECT_NE(text.find("another keeper (pid " + std::to_string(client->pid())), std::string::npos)
      << text;
  EXPECT_EQ(lines_of(text).size(), 1u);
  EXPECT_TRUE(ring->run_until(client->shutdown(Deadline::after_ms(kLongMs))).ok());
  EXPECT_TRUE(ring->run_until(client->close()).ok());
}

// Answers a connecting agent as a keeper that launches plans of another version. It ends when it is
// told to execute another program.
class OlderKeeper {
 public:
  explicit OlderKeeper(const std::string& dir) : listener_(listen_in(dir)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~OlderKeeper() { thread_.join(); }
  bool replaced = false;

 private:
  static UniqueFd listen_in(const std::string& dir) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir + "/keeper.sock";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }

  void serve() {
    UniqueFd agent(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    for (Incoming message; agent.valid();) {
      pollfd wait{agent.get(), POLLIN, 0};
      if (::poll(&wait, 1, 10'000) != 1) break;
      Result<bool> got = message.receive(agent.get());
      if (!got.ok() || !*got) break;
      const Header answer{.type = message.header().type, .request = message.header().request};
      if (answer.type == MessageType::reexec) {
        replaced = message.fd_count() == 1;
        break;
      }
      const HelloAnswer hello{.pid = ::getpid()};
      const bool is_hello = answer.type == MessageType::hello;
      EXPECT_TRUE(
          (is_hello ? send(agent.get(), answer, hello) : send(agent.get(), answer, {}, {})).ok());
    }
    listener_.reset();
  }

  UniqueFd listener_;
  std::thread thread_;
};

TEST(KeeperStart, KeeperOfAnotherPlanVersionGetsTheAgentsProgram) {
  const std::string dir = container::testing::place("older");
  fs::create_directories(dir);
  OlderKeeper older(dir);
  std::unique_ptr<Ring> ring = Ring::create().value();
  Log log(LogLevel::error);
  const KeeperOptions options{.binary = BERTH_KEEPER, .state_dir = dir};
  auto client = std::move(ring->run_until(KeeperClient::connect_or_start(
                              *ring, log, options, Deadline::after_ms(kLongMs))))
                    .value();
  EXPECT_TRUE(older.replaced);
  EXPECT_EQ(client->starts(), 1u) << "the old keeper ended, and a new one was started";
  EXPECT_NE(client->pid(), ::getpid());
  EXPECT_TRUE(ring->run_until(client->shutdown(Deadline::after_ms(kLongMs))).ok());
  EXPECT_TRUE(ring->run_until(client->close()).ok());
}

TEST(KeeperStart, EveryStartUpErrorIsOneLineAndReachesTheAgent) {
  const auto refusal = [](const std::string& dir) {
    std::unique_ptr<Ring> ring = Ring::create().value();
    Log log(LogLevel::error);
    const KeeperOptions options{.binary = BERTH_KEEPER, .state_dir = dir};
    auto outcome = ring->run_until(
        KeeperClient::connect_or_start(*ring, log, options, Deadline::after_ms(2000)));
    return outcome.ok() ? std::string("started") : outcome.error().message();
  };
  const std::string missing = refusal("/no/such/dir");
  EXPECT_NE(missing.find("/no/such/dir"), std::string::npos) << missing;
  const std::string deep = container::testing::place(std::string(110, 'd'));
  fs::create_directories(deep);
  EXPECT_NE(refusal(deep).find("longer than 107"), std::string::npos);
  const std::string taken = container::testing::place("taken");
  fs::create_directories(taken + "/keeper.sock");
  const std::string refused = refusal(taken);
  EXPECT_NE(refused.find("not a socket"), std::string::npos) << refused;
}

}  // namespace
}  // namespace berth::keeper::testing
