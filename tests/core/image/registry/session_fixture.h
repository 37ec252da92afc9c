// SPDX-License-Identifier: Apache-2.0
// A registry client in a network namespace of its own, and registries that can misbehave.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "core/image/registry/client.h"
#include "core/image/registry/session.h"
#include "core/ring/ring.h"
#include "core/ring/with_deadline.h"
#include "core/task/scope.h"
#include "tests/core/image/http/fake_server.h"
#include "tests/core/image/http/own_network.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {

constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";

// A download into memory.
class MemorySink final : public DownloadSink {
 public:
  Result<Took> write(std::string_view piece) override {
    if (bytes.size() + piece.size() > size_max) return make_error(Errc::aborted, "enough");
    bytes += piece;
    return Took::all;
  }
  std::string bytes;
  std::size_t size_max = 64 << 20;
};

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
    log_file_.reset(::open((dir_ + "/log").c_str(), O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC, 0600));
    log_.emplace(LogLevel::debug, log_file_.get());
    options_.retry_delay_ms = 1;
    options_.connect_timeout_ms = 500;
    options_.mirror_connect_timeout_ms = 200;
    options_.low_speed_s = 1;
    Result<std::unique_ptr<Ring>> ring = Ring::create();
    ASSERT_TRUE(ring.ok()) << ring.error().message();
    ring_ = *std::move(ring);
  }
  void TearDown() override {
    session_.reset();
    client_.reset();
    ring_.reset();
  }

  // Uses the current value of options_.
  void make_client() {
    session_.reset();
    client_.reset();
    client_ = std::make_unique<RegistryClient>(*ring_, *log_, options_);
  }
  Result<std::unique_ptr<RegistrySession>> try_open(const std::string& name, AuthConfig auth = {},
                                                    Access access = Access::pull) {
    if (client_ == nullptr) make_client();
    return ring_->run_until(client_->open(*oci::parse_reference(name), std::move(auth), access));
  }
  RegistrySession& open(const std::string& name, AuthConfig auth = {},
                        Access access = Access::pull) {
    Result<std::unique_ptr<RegistrySession>> session = try_open(name, std::move(auth), access);
    EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message());
    session_ = *std::move(session);
    return *session_;
  }
  RegistrySession& session(AuthConfig auth = {}) {
    return open(registry_.host() + "/app:1", std::move(auth));
  }
  Result<RemoteDocument> manifest(RegistrySession& session, const std::string& name) {
    return ring_->run_until(session.get_manifest(name));
  }
  Result<RemoteDocument> head(RegistrySession& session, const std::string& name) {
    return ring_->run_until(session.head_manifest(name));
  }
  Result<std::uint64_t> blob(RegistrySession& session, const std::string& digest, std::size_t size,
                             DownloadSink& sink, std::uint64_t offset = 0) {
    oci::Descriptor wanted;
    wanted.digest = *oci::Digest::parse(digest);
    wanted.size = size;
    return ring_->run_until(session.get_blob(std::move(wanted), offset, sink));
  }
  // "" is success.
  std::string fetch(RegistrySession& session, const std::string& digest, std::size_t size) {
    sink_.emplace();
    Result<std::uint64_t> got = blob(session, digest, size, *sink_);
    return got.ok() ? "" : got.error().message();
  }
  static AuthConfig pair(const std::string& username, const std::string& password) {
    AuthConfig auth;
    auth.username = username;
    auth.password = password;
    return auth;
  }
  std::string write_file(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = std::filesystem::path(dir_) / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::trunc) << text;
    return whole;
  }
  std::string log_text() {
    std::ifstream file(dir_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write_hosts(const std::string& host, const std::string& text) {
    options_.config_dir = dir_ + "/certs.d";
    write_file("certs.d/" + host + "/hosts.toml", text);
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  RegistryOptions options_;
  UniqueFd log_file_;
  std::optional<Log> log_;
  FakeRegistry registry_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<RegistryClient> client_;
  std::unique_ptr<RegistrySession> session_;
  std::optional<MemorySink> sink_;
};

class Stopwatch {
 public:
  std::int64_t ms() const {
    const auto passed = std::chrono::steady_clock::now() - start_;
    return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace berth::image
