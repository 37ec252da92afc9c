// SPDX-License-Identifier: Apache-2.0
// Promise: a blob is in the store only if its digest is right, whatever servers send; memory is one
// buffer.
#include "core/image/transfer/fetch.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "core/image/http/byte_channel.h"
#include "tests/core/image/registry/session_fixture.h"

namespace berth::image {
namespace {

class FetchTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    content_.emplace(*ContentStore::open(dir_ + "/content"));
    pool_.emplace(*ring_, 4);
  }
  void TearDown() override {
    pool_.reset();
    content_.reset();
    SessionTest::TearDown();
  }
  // "" is success.
  std::string fetch_into(RegistrySession& session, const std::string& digest, std::size_t size,
                         std::shared_ptr<Arrival> arrival = nullptr) {
    oci::Descriptor blob;
    blob.digest = *oci::Digest::parse(digest);
    blob.size = size;
    Result<void> got = ring_->run_until(
        fetch_blob(*pool_, session, *content_, blob, std::move(arrival), fetched_, transferred_));
    return got.ok() ? "" : got.error().message();
  }
  std::string stored(const std::string& digest) {
    Result<std::string> bytes = content_->read(*oci::Digest::parse(digest), 64 << 20);
    return bytes.ok() ? *bytes : "(nothing)";
  }

  std::optional<ContentStore> content_;
  std::optional<OffloadPool> pool_;
  std::atomic<std::uint64_t> fetched_{0};
  std::atomic<std::uint64_t> transferred_{0};
};

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  return bytes;
}

TEST_F(FetchTest, BringsABlobOnceAndCountsIt) {
  const std::string bytes = pattern(5'000'000);
  const std::string digest = registry_.add_blob("app", bytes);
  EXPECT_EQ(fetch_into(session(), digest, bytes.size()), "");
  EXPECT_TRUE(stored(digest) == bytes);
  EXPECT_EQ(fetched_, bytes.size());
  EXPECT_EQ(transferred_, bytes.size());
  EXPECT_EQ(fetch_into(session(), digest, bytes.size()), "");
  EXPECT_EQ(registry_.server().requests().size(), 1u);
  EXPECT_NE(fetch_into(session(), digest, 7).find("the manifest says 7"), std::string::npos);
}

TEST_F(FetchTest, ReadersFollowWhileItArrives) {
  const std::string bytes = pattern(3'000'000);
  const std::string digest = registry_.add_blob("app", bytes);
  auto arrival = std::make_shared<Arrival>();
  std::string seen;
  std::thread reader([&] {
    ArrivingSource source(arrival, "blob", {});
    char buffer[100'000];
    while (true) {
      Result<std::size_t> got = source.read(buffer, sizeof buffer);
      ASSERT_TRUE(got.ok()) << got.error().message();
      if (*got == 0) return;
      seen.append(buffer, *got);
    }
  });
  EXPECT_EQ(fetch_into(session(), digest, bytes.size(), arrival), "");
  arrival->ended({});
  reader.join();
  EXPECT_TRUE(seen == bytes);
}

TEST_F(FetchTest, WrongBytesAreNotStoredAndNotRequestedTwice) {
  const std::string digest = "sha256:" + std::string(64, '0');
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "wrong"};
  });
  EXPECT_NE(fetch_into(session(), digest, 5).find("the bytes have digest"), std::string::npos);
  EXPECT_EQ(registry_.server().requests().size(), 1u);
  EXPECT_NE(fetch_into(session(), digest, 4).find("more than the announced 4"), std::string::npos);
  EXPECT_NE(fetch_into(session(), digest, 6).find("5 bytes instead of"), std::string::npos);
  EXPECT_FALSE(content_->size(*oci::Digest::parse(digest))->has_value());
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/content/ingest"));
}

TEST_F(FetchTest, AMirrorWithWrongBytesIsReplacedByTheRegistry) {
  const std::string bytes = pattern(700'000);
  const std::string digest = registry_.add_blob("app", bytes);
  FakeRegistry liar;
  liar.set_hook([&](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = std::string(bytes.size(), '?')};
  });
  write_hosts("registry.test", "server = \"http://" + registry_.host() + "\"\n[host.\"http://" +
                                   liar.host() + "\"]\n");
  EXPECT_EQ(fetch_into(open("registry.test/app:1"), digest, bytes.size()), "");
  EXPECT_TRUE(stored(digest) == bytes);
  EXPECT_EQ(liar.server().requests().size(), 1u);
}

TEST_F(FetchTest, ABlobOfNoBytesHasTheDigestOfNoBytesOrIsRefused) {
  EXPECT_NE(
      fetch_into(session(), "sha256:" + std::string(64, '0'), 0).find("the bytes have digest"),
      std::string::npos);
  EXPECT_EQ(fetch_into(session(), oci::digest_of("").text(), 0), "");
}

TEST_F(FetchTest, AMirrorWithWrongBytesIsNotAskedForEverIfTheRegistryFails) {
  const std::string bytes = pattern(100'000);
  FakeRegistry liar;
  liar.set_hook([&](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = std::string(bytes.size(), '?')};
  });
  for (const std::string& silent : {std::string("127.0.0.1:1"), registry_.host()}) {
    write_hosts("registry.test",
                "server = \"http://" + silent + "\"\n[host.\"http://" + liar.host() + "\"]\n");
    liar.server().forget();
    const std::string error =
        fetch_into(open("registry.test/app:1"), oci::digest_of(bytes).text(), bytes.size());
    EXPECT_NE(error.find("the bytes have digest"), std::string::npos) << error;
    EXPECT_LE(liar.server().requests().size(), 2u) << silent;
  }
}

TEST_F(FetchTest, ContinuesAPartialFileAndRestartsIfItIsWrong) {
  const std::string bytes = pattern(100'000);
  const std::string digest = registry_.add_blob("app", bytes);
  const std::string partial = dir_ + "/content/ingest/sha256-" + digest.substr(7);
  std::ofstream(partial) << bytes.substr(0, 60'000);
  EXPECT_EQ(fetch_into(session(), digest, bytes.size()), "");
  EXPECT_EQ(registry_.server().requests()[0].header("range"), "bytes=60000-");
  EXPECT_EQ(transferred_, 40'000u);
  ASSERT_TRUE(content_->remove(*oci::Digest::parse(digest)).ok());
  std::ofstream(partial) << std::string(60'000, 'x');
  registry_.server().forget();
  EXPECT_EQ(fetch_into(session(), digest, bytes.size()), "");
  ASSERT_EQ(registry_.server().requests().size(), 2u);
  EXPECT_EQ(registry_.server().requests()[1].header("range"), "");
  EXPECT_TRUE(stored(digest) == bytes);
}

TEST_F(FetchTest, AFullDiskEndsTheTransferWithItsError) {
  const std::string bytes = pattern(3'000'000);
  const std::string digest = registry_.add_blob("app", bytes);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1 << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string failed = fetch_into(session(), digest, bytes.size());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_NE(failed.find("EFBIG"), std::string::npos) << failed;
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/content/ingest"));
  EXPECT_EQ(registry_.server().requests().size(), 1u);
}

TEST_F(FetchTest, CancellingLeavesNothing) {
  const std::string bytes = pattern(200'000);
  const std::string digest = registry_.add_blob("app", bytes);
  registry_.set_hook([&](const ServerRequest&) {
    ServerResponse response{.status = 200, .headers = {}, .body = bytes};
    response.pause_after = 100'000;
    response.pause_ms = 30'000;
    return response;
  });
  oci::Descriptor blob;
  blob.digest = *oci::Digest::parse(digest);
  blob.size = bytes.size();
  RegistrySession& client = session();
  // A reader keeps the file open for longer; its blocks are freed all the same.
  UniqueFd follower;
  std::thread opener([&] {
    const std::string partial = dir_ + "/content/ingest/sha256-" + digest.substr(7);
    for (int tries = 0; tries < 5'000 && !follower.valid(); ++tries) {
      std::error_code absent;
      const bool begun = std::filesystem::file_size(partial, absent) > 0 && !absent;
      if (begun) follower.reset(::open(partial.c_str(), O_RDONLY | O_CLOEXEC));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const Stopwatch watch;
  Result<void> given_up = ring_->run_until(
      with_deadline(*ring_, Deadline::after_ms(500),
                    fetch_blob(*pool_, client, *content_, blob, nullptr, fetched_, transferred_)));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  EXPECT_LT(watch.ms(), 3'000);
  opener.join();
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/content/ingest"));
  struct stat left {};
  ASSERT_EQ(::fstat(follower.get(), &left), 0);
  EXPECT_EQ(left.st_size, 0);
}

TEST(ByteChannel, GivesEveryByteInOrderForAllSizes) {
  ByteChannel channel(1'000);
  const std::string bytes = pattern(200'000);
  std::mutex mutex;
  std::condition_variable changed;
  bool room = false;
  channel.attach([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    room = true;
    changed.notify_one();
  });
  std::thread writer([&] {
    std::size_t at = 0;
    for (std::size_t size = 1; at < bytes.size(); size = size % 997 + 1) {
      const std::string_view piece = std::string_view(bytes).substr(at, size);
      Result<DownloadSink::Took> took = channel.write(piece);
      ASSERT_TRUE(took.ok());
      if (*took == DownloadSink::Took::all) {
        at += piece.size();
        continue;
      }
      std::unique_lock<std::mutex> lock(mutex);
      ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return room; }));
      room = false;
    }
    channel.end();
  });
  std::string got;
  for (std::string_view piece = channel.next(); !piece.empty(); piece = channel.next()) {
    const std::size_t part = std::min<std::size_t>(piece.size(), 333);
    got.append(piece.substr(0, part));
    channel.consumed(part);
  }
  writer.join();
  channel.detach();
  EXPECT_TRUE(got == bytes);
}

}  // namespace
}  // namespace berth::image
