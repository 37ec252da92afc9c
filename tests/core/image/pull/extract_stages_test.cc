// SPDX-License-Identifier: Apache-2.0
// Promise: stages on their own threads get every byte once and in order, and when one fails all
// end. A reader of an arriving blob gets the end only after the blob is verified.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/image/content/content.h"
#include "core/image/unpack/inflate_ring.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {
namespace {

std::string read_all(ByteSource& source, std::size_t step) {
  std::string all;
  std::string buffer(step, '\0');
  while (true) {
    Result<std::size_t> got = source.read(buffer.data(), buffer.size());
    if (!got.ok()) return "error: " + got.error().message();
    if (*got == 0) return all;
    all.append(buffer, 0, *got);
  }
}

TEST(InflateRing, TwoReadersSeeTheSameBytesAtTheirOwnPace) {
  InflateRing ring(100, 3);
  std::string sent;
  std::thread filler([&] {
    for (int i = 0; i < 500; ++i) {
      const InflateRing::Chunk chunk = *ring.acquire();
      const std::size_t size = static_cast<std::size_t>(i % 100) + 1;
      std::fill(chunk.bytes, chunk.bytes + size, static_cast<char>(i));
      sent.append(chunk.bytes, size);
      ring.publish(size);
    }
    ring.finish();
  });
  std::string slow;
  std::thread reader([&] {
    InflateRingSource source(ring, 1);
    slow = read_all(source, 7);
  });
  InflateRingSource source(ring, 0);
  const std::string fast = read_all(source, 1000);
  reader.join();
  filler.join();
  EXPECT_EQ(fast, sent);
  EXPECT_EQ(slow, sent);
}

TEST(InflateRing, AReaderThatLeftDelaysNoOther) {
  InflateRing ring(10, 2);
  ring.leave(0);
  std::thread filler([&] {
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(ring.acquire().ok());
      ring.publish(10);
    }
    ring.finish();
  });
  InflateRingSource source(ring, 1);
  EXPECT_EQ(read_all(source, 100).size(), 500u);
  filler.join();
}

TEST(InflateRing, AFailureEndsEveryWait) {
  InflateRing ring(10, 1);
  std::thread reader([&] { EXPECT_TRUE(ring.peek(0).error().is(Errc::aborted)); });
  ring.fail();
  reader.join();
  EXPECT_TRUE(ring.acquire().error().is(Errc::aborted));
}

class ArrivalTest : public testing::Test {
 protected:
  void SetUp() override { content_.emplace(*ContentStore::open(dir_ + "/content")); }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::optional<ContentStore> content_;
  std::shared_ptr<Arrival> arrival_ = std::make_shared<Arrival>();
  std::stop_source stop_;
};

TEST_F(ArrivalTest, AReaderFollowsTheFileAndEndsWhenItIsVerified) {
  const std::string bytes(100'000, 'b');
  std::atomic<bool> verified{false};
  bool was_verified = false;
  std::string seen;
  std::thread reader([&] {
    ArrivingSource source(arrival_, "blob", stop_.get_token());
    seen = read_all(source, 1000);
    was_verified = verified;
  });
  {
    Ingest ingest = *content_->begin(oci::digest_of(bytes), bytes.size());
    ASSERT_TRUE(ingest.write(bytes.data(), 10'000).ok());
    ASSERT_TRUE(ingest.announce(arrival_).ok());
    for (std::size_t at = 10'000; at < bytes.size(); at += 9'000) {
      ASSERT_TRUE(ingest.write(bytes.data() + at, 9'000).ok());
      std::this_thread::yield();
    }
    ASSERT_TRUE(ingest.commit().ok());
  }
  verified = true;
  arrival_->ended({});
  reader.join();
  EXPECT_EQ(seen, bytes);
  EXPECT_TRUE(was_verified);
}

TEST_F(ArrivalTest, AFailedOrRepeatedFetchAndAStopEndTheReader) {
  Ingest ingest = *content_->begin(oci::digest_of("whole"), 5);
  ASSERT_TRUE(ingest.announce(arrival_).ok());
  char out[8];
  {
    ArrivingSource source(arrival_, "blob", stop_.get_token());
    ASSERT_TRUE(ingest.write("wx", 2).ok());
    EXPECT_EQ(*source.read(out, sizeof(out)), 2u);
    ASSERT_TRUE(ingest.restart().ok());
    EXPECT_TRUE(source.read(out, sizeof(out)).error().is(Errc::aborted));
  }
  {
    ArrivingSource source(arrival_, "blob", stop_.get_token());
    EXPECT_TRUE(source.read(out, sizeof(out)).error().is(Errc::aborted)) << "it began anew before";
  }
  auto failing = std::make_shared<Arrival>();
  ArrivingSource after_failure(failing, "blob", stop_.get_token());
  failing->ended(make_error(Errc::not_found, "HTTP 404"));
  EXPECT_TRUE(after_failure.read(out, sizeof(out)).error().is(Errc::aborted));
  ArrivingSource stopped(std::make_shared<Arrival>(), "blob", stop_.get_token());
  stop_.request_stop();
  EXPECT_TRUE(stopped.read(out, sizeof(out)).error().is(Errc::cancelled));
}

}  // namespace
}  // namespace berth::image
