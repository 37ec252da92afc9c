// SPDX-License-Identifier: Apache-2.0
// A log on a FUSE filesystem whose server reads requests but does not answer: its container waits
// and loses no output, and the keeper serves all other containers.
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "core/keeper/log/file.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

// Serves one directory with one file, "log", from memory.
class FuseServer {
 public:
  explicit FuseServer(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    device_.reset(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    const std::string data =
        "fd=" + std::to_string(device_.get()) + ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = device_.valid() && ::mount("log", path_.c_str(), "fuse", 0, data.c_str()) == 0;
    if (mounted_) server_ = std::thread([this] { serve(); });
  }
  FuseServer(const FuseServer&) = delete;
  ~FuseServer() {
    answer();
    if (mounted_) ::umount2(path_.c_str(), MNT_FORCE);
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    if (server_.joinable()) server_.join();
  }

  bool mounted() const { return mounted_; }
  std::string log() const { return path_ + "/log"; }
  // Leaves requests unanswered from the next one on, until answer().
  void hang() {
    const std::lock_guard lock(mutex_);
    hung_ = true;
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    hung_ = false;
    changed_.notify_all();
  }
  // True while a request waits for its answer.
  bool has_waiting_request() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }
  bool was_polled() const { return polled_; }
  std::string content() {
    const std::lock_guard lock(mutex_);
    return content_;
  }

 private:
  void serve() {
    std::vector<char> request(256 << 10);
    while (true) {
      const ssize_t length = ::read(device_.get(), request.data(), request.size());
      if (length < 0 && (errno == EINTR || errno == ENOENT)) continue;
      if (length < 0) return;  // unmounted
      fuse_in_header header{};
      ::memcpy(&header, request.data(), sizeof header);
      std::unique_lock lock(mutex_);
      waiting_ = hung_;
      // Limited, because a process that waits for the answer cannot be killed.
      changed_.wait_for(lock, std::chrono::seconds(15), [this] { return !hung_; });
      waiting_ = false;
      handle(header, request.data() + sizeof header);
    }
  }

  void handle(const fuse_in_header& header, const char* body) {
    switch (header.opcode) {
      case FUSE_INIT: {
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = FUSE_KERNEL_MINOR_VERSION;
        out.max_write = 64 << 10;
        return reply(header, out);
      }
      case FUSE_LOOKUP: {
        if (::strcmp(body, "log") != 0) return refuse(header, ENOENT);
        fuse_entry_out out{};
        out.nodeid = 2;
        out.attr = attributes(2);
        return reply(header, out);
      }
      case FUSE_GETATTR:
      case FUSE_SETATTR: {
        fuse_attr_out out{};
        out.attr = attributes(header.nodeid);
        return reply(header, out);
      }
      case FUSE_OPEN:
        return reply(header, fuse_open_out{});
      case FUSE_WRITE: {
        fuse_write_in in{};
        ::memcpy(&in, body, sizeof in);
        content_.append(body + sizeof in, in.size);
        return reply(header, fuse_write_out{.size = in.size, .padding = 0});
      }
      case FUSE_POLL:
        polled_ = true;
        return reply(header, fuse_poll_out{.revents = POLLIN | POLLOUT, .padding = 0});
      case FUSE_RELEASE:
        return refuse(header, 0);
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // these have no answer
      default:
        return refuse(header, ENOSYS);
    }
  }
  fuse_attr attributes(std::uint64_t node) const {
    fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == 2 ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.nlink = 1;
    attr.size = node == 2 ? content_.size() : 0;
    attr.blksize = 4096;
    return attr;
  }
  template <typename Body>
  void reply(const fuse_in_header& header, const Body& body) {
    struct {
      fuse_out_header header;
      Body body;
    } out{{sizeof(fuse_out_header) + sizeof(Body), 0, header.unique}, body};
    send(&out, out.header.len);
  }
  void refuse(const fuse_in_header& header, int error) {
    const fuse_out_header out{sizeof out, -error, header.unique};
    send(&out, sizeof out);
  }
  void send(const void* bytes, std::size_t length) {
    // ENOENT: the request was interrupted.
    const bool sent = ::write(device_.get(), bytes, length) >= 0;
    EXPECT_TRUE(sent || errno == ENOENT) << ::strerror(errno);
  }

  std::string path_;
  UniqueFd device_;
  bool mounted_ = false;
  std::thread server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hung_ = false;
  bool waiting_ = false;
  std::atomic<bool> polled_ = false;
  std::string content_;
};

class FuseLogTest : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    server_ = std::make_unique<FuseServer>(dir_ + "/fuse");
    if (!server_->mounted()) GTEST_SKIP() << "FUSE cannot be mounted here";
    // The server refuses flush once, so that later close(2) calls do not request it: every process
    // that the keeper starts closes its copies of the keeper's descriptors.
    ASSERT_TRUE(open_hanging().valid());
  }
  void TearDown() override {
    server_->answer();
    KeeperTest::TearDown();
    server_.reset();
  }
  UniqueFd open_hanging() const {
    return UniqueFd(::open(server_->log().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  }

  std::unique_ptr<FuseServer> server_;
};

TEST_F(FuseLogTest, KeeperServesTheOthersWhileTheServerDoesNotAnswer) {
  launch("hung",
         {.args = {"sh", "-c", "read go; echo one; read go; echo two"}, .open_stdin = true});
  const int go = client_->find("hung")->stdin_fd;
  ASSERT_TRUE(run(client_->reopen_log("hung", open_hanging(), soon())).ok());
  server_->hang();
  ASSERT_EQ(::write(go, "\n", 1), 1);
  ASSERT_TRUE(eventually([&] { return server_->has_waiting_request(); }));
  shell("fine", "echo alive");
  EXPECT_EQ(wait_exit("fine").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("fine")), "alive\n");
  forget("fine");
  server_->answer();
  ASSERT_TRUE(eventually([&] { return joined_log(server_->content()) == "one\n"; }))
      << server_->content();
  ASSERT_EQ(::write(go, "\n", 1), 1);
  EXPECT_EQ(wait_exit("hung").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return joined_log(server_->content()) == "one\ntwo\n"; }))
      << server_->content();
}

TEST_F(FuseLogTest, AKeeperWhoseLogHangsRefusesAnUpgradeAndServesOn) {
  launch("hung", {.args = {"sh", "-c", "read go; echo one"}, .open_stdin = true});
  const int go = client_->find("hung")->stdin_fd;
  ASSERT_TRUE(run(client_->reopen_log("hung", open_hanging(), soon())).ok());
  server_->hang();
  ASSERT_EQ(::write(go, "\n", 1), 1);
  ASSERT_TRUE(eventually([&] { return server_->has_waiting_request(); }));
  const std::string before = client_->build();
  drop_client();
  options_.binary = other_build(options_.binary, dir_ + "/other-keeper");
  connect();
  EXPECT_EQ(client_->build(), before);
  shell("fine", "echo alive");
  EXPECT_EQ(wait_exit("fine").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("fine")), "alive\n");
  server_->answer();
  EXPECT_EQ(wait_exit("hung").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return joined_log(server_->content()) == "one\n"; }))
      << server_->content();
  // Nothing hangs any more: the next agent replaces it.
  drop_client();
  connect();
  EXPECT_NE(client_->build(), before);
}

TEST_F(FuseLogTest, CanPollSendsNoRequestToTheServer) {
  const UniqueFd log = open_hanging();
  ASSERT_TRUE(log.valid());
  server_->hang();
  EXPECT_TRUE(can_poll(log.get()));
  EXPECT_FALSE(server_->has_waiting_request());
  EXPECT_FALSE(server_->was_polled());
  server_->answer();  // close(2) sends a request
  // An ordinary log cannot be polled, a pipe can.
  EXPECT_FALSE(can_poll(open_log(dir_ + "/plain").get()));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read(ends[0]);
  const UniqueFd write(ends[1]);
  EXPECT_TRUE(can_poll(write.get()));
}

}  // namespace
}  // namespace berth::keeper::testing
