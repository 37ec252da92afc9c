// SPDX-License-Identifier: Apache-2.0
// Promise: whatever a registry does, the result is the right bytes or an error that says what the
// registry did.
#include "tests/core/image/registry/session_fixture.h"

namespace berth::image {
namespace {

using RegistrySessionTest = SessionTest;

TEST_F(RegistrySessionTest, GivesManifestsByTagAndByDigest) {
  const std::string digest = registry_.add_manifest("app", "1", kManifestType, "{\"a\":1}");
  RegistrySession& client = session();
  Result<RemoteDocument> by_head = head(client, "1");
  ASSERT_TRUE(by_head.ok()) << by_head.error().message();
  EXPECT_EQ(by_head->digest.text(), digest);
  EXPECT_EQ(by_head->media_type, kManifestType);
  EXPECT_EQ(manifest(client, "1")->bytes, "{\"a\":1}");
  EXPECT_EQ(manifest(client, digest)->digest.text(), digest);
  EXPECT_NE(registry_.server().requests().back().header("accept").find("manifest.list.v2"),
            std::string::npos);
}

TEST_F(RegistrySessionTest, ErrorsHaveTheTextOfTheRegistry) {
  Result<RemoteDocument> none = manifest(session(), "nope");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message(), "GET http://" + registry_.host() +
                                        "/v2/app/manifests/nope: HTTP 404 "
                                        "(MANIFEST_UNKNOWN: manifest unknown)");
}

TEST_F(RegistrySessionTest, RefusesADocumentWithAnotherDigest) {
  const std::string other = "sha256:" + std::string(64, '0');
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "{}"};
  });
  EXPECT_EQ(manifest(session(), other).error().code, Errc::data_loss);
  registry_.set_hook([&other](const ServerRequest&) {
    return ServerResponse{
        .status = 200, .headers = {"Docker-Content-Digest: " + other}, .body = "{}"};
  });
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::data_loss);
}

TEST_F(RegistrySessionTest, RefusesAManifestOfFiveMegabytes) {
  registry_.add_manifest("app", "1", kManifestType, std::string(5 << 20, ' '));
  Result<RemoteDocument> big = manifest(session(), "1");
  ASSERT_FALSE(big.ok());
  EXPECT_NE(big.error().message().find("larger than 4194304"), std::string::npos);
}

TEST_F(RegistrySessionTest, ContinuesABlobThatIsCutEvery64KiB) {
  std::string bytes(1'000'000, 'b');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 7);
  const std::string digest = registry_.add_blob("app", bytes);
  registry_.set_hook([&](const ServerRequest& request) {
    const std::string range = request.header("range");
    const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    ServerResponse response{
        .status = from == 0 ? 200 : 206, .headers = {}, .body = bytes.substr(from)};
    response.headers.push_back("Content-Range: bytes " + std::to_string(from) + "-999999/1000000");
    response.cut_after = 65'536;
    return response;
  });
  MemorySink sink;
  Result<std::uint64_t> transferred = blob(session(), digest, bytes.size(), sink);
  ASSERT_TRUE(transferred.ok()) << transferred.error().message();
  EXPECT_EQ(registry_.server().requests().size(), 16u);
  EXPECT_EQ(*transferred, bytes.size());
  EXPECT_TRUE(sink.bytes == bytes);
}

TEST_F(RegistrySessionTest, SkipsTheBytesItHasWhenTheServerIgnoresTheRange) {
  const std::string bytes = std::string(50'000, 'a') + std::string(50'000, 'b');
  const std::string digest = registry_.add_blob("app", bytes);
  std::atomic<int> asked{0};
  registry_.set_hook([&](const ServerRequest&) {
    ServerResponse response{.status = 200, .headers = {}, .body = bytes};
    if (asked++ == 0) response.cut_after = 50'000;
    return response;
  });
  MemorySink sink;
  Result<std::uint64_t> transferred = blob(session(), digest, bytes.size(), sink);
  ASSERT_TRUE(transferred.ok()) << transferred.error().message();
  EXPECT_EQ(registry_.server().requests()[1].header("range"), "bytes=50000-");
  EXPECT_TRUE(sink.bytes == bytes);
  EXPECT_EQ(*transferred, 150'000u);
}

TEST_F(RegistrySessionTest, ContinuesFromAnOffsetAndWithoutARangeWhenThatIsRefused) {
  const std::string bytes = std::string(1'000, 'a') + std::string(1'000, 'b');
  const std::string digest = registry_.add_blob("app", bytes);
  MemorySink rest;
  ASSERT_TRUE(blob(session(), digest, bytes.size(), rest, 1'500).ok());
  EXPECT_EQ(rest.bytes, std::string(500, 'b'));
  EXPECT_EQ(registry_.server().requests().back().header("range"), "bytes=1500-");
  registry_.set_hook([](const ServerRequest& request) {
    return ServerResponse{
        .status = request.header("range").empty() ? 0 : 416, .headers = {}, .body = ""};
  });
  MemorySink again;
  ASSERT_TRUE(blob(session(), digest, bytes.size(), again, 1'500).ok());
  EXPECT_EQ(again.bytes, std::string(500, 'b'));
  MemorySink nothing;
  registry_.server().forget();
  EXPECT_EQ(*blob(session(), digest, bytes.size(), nothing, bytes.size()), 0u);
  EXPECT_TRUE(registry_.server().requests().empty());
}

TEST_F(RegistrySessionTest, RefusesAnotherRangeThanAskedFor) {
  const std::string digest = registry_.add_blob("app", std::string(100, 'a'));
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{
        .status = 206, .headers = {"Content-Range: bytes 7-99/100"}, .body = "other"};
  });
  MemorySink sink;
  Result<std::uint64_t> got = blob(session(), digest, 100, sink, 50);
  EXPECT_EQ(got.error().code, Errc::data_loss);
  EXPECT_TRUE(sink.bytes.empty());
}

TEST_F(RegistrySessionTest, RefusesWrongLengths) {
  const std::string digest = "sha256:" + std::string(64, '0');
  std::int64_t declared = -1;
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{
        .status = 200, .headers = {}, .body = "wrong", .declared_length = declared};
  });
  RegistrySession& client = session();
  EXPECT_EQ(fetch(client, digest, 5), "");
  EXPECT_NE(fetch(client, digest, 4).find("more than the announced 4"), std::string::npos);
  EXPECT_NE(fetch(client, digest, 6).find("5 bytes instead of the announced 6"), std::string::npos);
  // Content-Length is 100, the body is not; then it is 2 and more follows.
  declared = 100;
  EXPECT_NE(fetch(client, digest, 100).find("/blobs/" + digest), std::string::npos);
  declared = 2;
  EXPECT_NE(fetch(client, digest, 5), "");
}

TEST_F(RegistrySessionTest, ASinksErrorEndsTheBlobWithoutAnotherAttempt) {
  const std::string digest = registry_.add_blob("app", std::string(100'000, 'a'));
  MemorySink sink;
  sink.size_max = 10;
  Result<std::uint64_t> got = blob(session(), digest, 100'000, sink);
  EXPECT_EQ(got.error().code, Errc::aborted);
  EXPECT_NE(got.error().message().find("enough"), std::string::npos);
  EXPECT_EQ(registry_.server().requests().size(), 1u);
}

TEST_F(RegistrySessionTest, RetriesTemporaryFailuresAndGivesUpInTheEnd) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  std::atomic<int> failures{2};
  int status = 500;
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{
        .status = failures-- > 0 ? status : 0, .headers = {"Retry-After: 0"}, .body = ""};
  });
  EXPECT_TRUE(manifest(session(), "1").ok());
  failures = 1000;
  for (const auto& [code, errc] :
       {std::pair{503, Errc::unavailable}, {429, Errc::resource_exhausted}}) {
    status = code;
    registry_.server().forget();
    EXPECT_EQ(manifest(session(), "1").error().code, errc);
    EXPECT_EQ(registry_.server().requests().size(), options_.attempts_max);
  }
  status = 403;
  registry_.server().forget();
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::permission_denied);
  EXPECT_EQ(registry_.server().requests().size(), 1u);
}

TEST_F(RegistrySessionTest, WaitsAsLongAsTheRegistrySays) {
  registry_.add_manifest("app", "1", kManifestType, "{}");
  std::atomic<int> failures{1};
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{
        .status = failures-- > 0 ? 429 : 0, .headers = {"Retry-After: 1"}, .body = ""};
  });
  const Stopwatch watch;
  EXPECT_TRUE(manifest(session(), "1").ok());
  EXPECT_GE(watch.ms(), 990);
  // The wait is never longer than the client's own limit.
  options_.retry_delay_ms_max = 20;
  make_client();
  failures = 1;
  registry_.set_hook([&](const ServerRequest&) {
    return ServerResponse{.status = failures-- > 0 ? 503 : 0,
                          .headers = {"Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"},
                          .body = ""};
  });
  const Stopwatch short_watch;
  EXPECT_TRUE(manifest(session(), "1").ok());
  EXPECT_LT(short_watch.ms(), 2'000);
}

TEST_F(RegistrySessionTest, GivesUpOnAStalledServerAndADeadOneSoon) {
  options_.attempts_max = 1;
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 200, .headers = {}, .body = "{}", .stall_ms = 10'000};
  });
  const Stopwatch watch;
  EXPECT_EQ(manifest(session(), "1").error().code, Errc::deadline_exceeded);
  Result<RemoteDocument> refused = manifest(open("127.0.0.1:1/app"), "1");
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_NE(refused.error().message().find("127.0.0.1:1"), std::string::npos);
  EXPECT_LT(watch.ms(), 5'000);
}

TEST_F(RegistrySessionTest, ABlobThatStallsIsContinuedAtItsOffset) {
  const std::string bytes(200'000, 'z');
  const std::string digest = registry_.add_blob("app", bytes);
  std::atomic<int> asked{0};
  registry_.set_hook([&](const ServerRequest&) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (asked++ > 0) return response;
    response = {.status = 200, .headers = {}, .body = bytes};
    response.pause_after = 100'000;
    response.pause_ms = 30'000;
    return response;
  });
  const Stopwatch watch;
  EXPECT_EQ(fetch(session(), digest, bytes.size()), "");
  EXPECT_LT(watch.ms(), 6'000);
  EXPECT_EQ(registry_.server().requests()[1].header("range"), "bytes=100000-");
}

TEST_F(RegistrySessionTest, ATaskThatIsCancelledStopsWaiting) {
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 503, .headers = {"Retry-After: 60"}, .body = ""};
  });
  RegistrySession& client = session();
  const Stopwatch watch;
  Result<RemoteDocument> given_up =
      ring_->run_until(with_deadline(*ring_, Deadline::after_ms(100), client.get_manifest("1")));
  EXPECT_EQ(given_up.error().code, Errc::deadline_exceeded);
  EXPECT_LT(watch.ms(), 2'000);
}

TEST_F(RegistrySessionTest, AnIdleClientHasNoThreadAndNoConnection) {
  const auto threads = [] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream name(entry.path() / "comm");
      std::string text;
      name >> text;
      count += text == "berth-http" ? 1 : 0;
    }
    return count;
  };
  registry_.add_manifest("app", "1", kManifestType, "{}");
  options_.idle_ms = 50;
  ASSERT_TRUE(manifest(session(), "1").ok());
  EXPECT_EQ(threads(), 1u);
  session_.reset();
  const auto later = [this]() -> Task<void> {
    co_await ring_->sleep_until(Deadline::after_ms(150));
  };
  ASSERT_TRUE(ring_->run_until(later()).ok());
  EXPECT_EQ(threads(), 0u);
  EXPECT_TRUE(manifest(session(), "1").ok());
}

TEST_F(RegistrySessionTest, ARedirectLoopAndAForeignSchemeEnd) {
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 302, .headers = {"Location: /again"}, .body = ""};
  });
  EXPECT_NE(manifest(session(), "1").error().message().find("more than 8 times"),
            std::string::npos);
  EXPECT_EQ(registry_.server().requests().size(), 9u) << "the first one and eight more";
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 302, .headers = {"Location: file:///etc/passwd"}, .body = ""};
  });
  EXPECT_FALSE(manifest(session(), "1").ok());
}

TEST_F(RegistrySessionTest, GarbageInsteadOfHttpIsAnError) {
  // Endless header lines, an invalid status, wrong chunk sizes: the transfer ends, with libcurl's
  // error or with bytes of the wrong digest.
  for (const std::string& raw :
       {std::string("\x16\x03\x01garbage"), "HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'h'),
        std::string("HTTP/1.1 999999 What\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx"),
        std::string(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello"),
        std::string("HTTP/1.1 204 No Content\r\n\r\n"), std::string()}) {
    registry_.set_hook([&](const ServerRequest&) {
      ServerResponse response{.status = 200, .headers = {}, .body = raw};
      response.raw = true;
      return response;
    });
    options_.attempts_max = 1;
    make_client();
    EXPECT_FALSE(manifest(session(), "sha256:" + std::string(64, '0')).ok());
  }
}

}  // namespace
}  // namespace berth::image
